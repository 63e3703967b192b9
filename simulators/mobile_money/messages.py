"""The words of the real API: answers, callbacks and results in its shapes."""

from __future__ import annotations

from typing import Any

from simulators.mobile_money.books import COMPLETED, PENDING, Payment

WORDS = {
    0: "The service request is processed successfully.",
    1: "The balance is insufficient for the transaction.",
    17: "System internal error.",
    26: "System busy. Try again in a short while.",
    1001: "Unable to lock subscriber, a transaction is already in process for the current subscriber.",
    1019: "Transaction expired. No MO has been received.",
    1025: "An error occurred while sending a push request.",
    1032: "Request cancelled by user.",
    1037: "DS timeout user cannot be reached.",
    2001: "The initiator information is invalid.",
    9999: "An error occurred while sending a push request.",
}


def error(code: str, words: str, request_id: str) -> dict[str, Any]:
    """A refusal."""
    return {"requestId": request_id, "errorCode": code, "errorMessage": words}


def push_taken(payment: Payment) -> dict[str, Any]:
    """The answer to an STK push."""
    return {
        "MerchantRequestID": payment.conversation_id,
        "CheckoutRequestID": payment.request_id,
        "ResponseCode": "0",
        "ResponseDescription": "Success. Request accepted for processing",
        "CustomerMessage": "Success. Request accepted for processing",
    }


def pay_taken(payment: Payment) -> dict[str, Any]:
    """The answer to a B2C payment, and to a status query."""
    return {
        "ConversationID": payment.request_id,
        "OriginatorConversationID": payment.conversation_id,
        "ResponseCode": "0",
        "ResponseDescription": "Accept the service request successfully.",
    }


def push_result(payment: Payment) -> dict[str, Any]:
    """The answer to an STK query. It tells no amount, as the real one."""
    return {
        "ResponseCode": "0",
        "ResponseDescription": "The service request has been accepted successsfully",
        "MerchantRequestID": payment.conversation_id,
        "CheckoutRequestID": payment.request_id,
        "ResultCode": str(payment.code),
        "ResultDesc": payment.words,
    }


def callback(payment: Payment) -> dict[str, Any]:
    """What is sent to the caller when a payment ends."""
    return _push_callback(payment) if payment.operation == "stk" else _pay_callback(payment)


def _push_callback(payment: Payment) -> dict[str, Any]:
    told: dict[str, Any] = {
        "MerchantRequestID": payment.conversation_id,
        "CheckoutRequestID": payment.request_id,
        "ResultCode": payment.code,
        "ResultDesc": payment.words,
    }
    if payment.code == 0:
        told["CallbackMetadata"] = {
            "Item": [
                {"Name": "Amount", "Value": float(payment.moved)},
                {"Name": "MpesaReceiptNumber", "Value": payment.receipt},
                {"Name": "TransactionDate", "Value": int(payment.end_time)},
                {"Name": "PhoneNumber", "Value": int(payment.phone)},
            ]
        }
    return {"Body": {"stkCallback": told}}


def _pay_callback(payment: Payment) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if payment.code == 0:
        facts = {
            "TransactionAmount": payment.moved,
            "TransactionReceipt": payment.receipt,
            "ReceiverPartyPublicName": f"{payment.phone} - Customer",
            "TransactionCompletedDateTime": payment.end_time,
            "B2CRecipientIsRegisteredCustomer": "Y",
        }
    return result(payment, payment.code, payment.words, facts)


def status(payment: Payment) -> dict[str, Any]:
    """The result of a transaction status query."""
    charge = f"Fee For B2C Payment|KES|{payment.charge}.00" if payment.charge else ""
    return result(
        payment,
        0,
        WORDS[0],
        {
            "ReceiptNo": payment.receipt,
            "ConversationID": payment.request_id,
            "OriginatorConversationID": payment.conversation_id,
            "TransactionStatus": payment.status,
            "Amount": payment.moved if payment.status == COMPLETED else payment.amount,
            "ReasonType": "" if payment.status in (PENDING, COMPLETED) else payment.words,
            "InitiatedTime": payment.take_time,
            "FinalisedTime": payment.end_time,
            "DebitPartyCharges": charge,
        },
    )


def unknown_status(conversation_id: str) -> dict[str, Any]:
    """The result of a status query for a payment that the books do not know, or do not tell."""
    return {
        "Result": {
            "ResultType": 0,
            "ResultCode": 2032,
            "ResultDesc": "The transaction receipt number does not exist.",
            "OriginatorConversationID": conversation_id,
            "ConversationID": "",
            "TransactionID": "",
        }
    }


def result(payment: Payment, code: int, words: str, facts: dict[str, Any]) -> dict[str, Any]:
    """A result as the real API wraps it."""
    told: dict[str, Any] = {
        "ResultType": 0,
        "ResultCode": code,
        "ResultDesc": words,
        "OriginatorConversationID": payment.conversation_id,
        "ConversationID": payment.request_id,
        "TransactionID": payment.receipt,
    }
    if facts:
        told["ResultParameters"] = {
            "ResultParameter": [{"Key": key, "Value": value} for key, value in facts.items()]
        }
    return {"Result": told}
