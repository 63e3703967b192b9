"""ListReviewCases: what waits for a person, oldest first, with the provider's own words."""

from hazina.payments.v1.review_service_pb2 import Evidence, ListReviewCasesRequest, Review
from tests.contract.payments.conftest import World
from tests.contract.payments.test_resolve_transaction import propose
from tests.harness import assert_refused


async def test_a_case_shows_transaction_evidence_and_proposal(world: World) -> None:
    stuck = await world.stuck_withdrawal()
    proposed = await propose(world, world.chris, stuck)
    answer = await world.reviews(world.dina).ListReviewCases(ListReviewCasesRequest())
    [case] = answer.review_cases
    assert case.reason == "PROVIDER_SILENT" and case.transaction.id == stuck
    assert [(one.source, one.body) for one in case.evidence] == [
        (Evidence.RESPONSE, "no answer: ReadTimeout")
    ]
    assert case.review == proposed and case.review.state == Review.PROPOSED


async def test_cases_come_in_pages_oldest_first(world: World) -> None:
    stuck = [await world.stuck_withdrawal(10_000, key=f"k-{one}") for one in range(3)]
    seen, token = [], ""
    for _ in range(2):
        answer = await world.reviews(world.chris).ListReviewCases(
            ListReviewCasesRequest(page_size=2, page_token=token)
        )
        seen += [one.transaction.id for one in answer.review_cases]
        token = answer.next_page_token
    assert seen == stuck and token == ""


async def test_only_staff_sees_cases_and_only_those_of_their_tenant(world: World) -> None:
    await world.stuck_withdrawal()
    with assert_refused("PERMISSION_DENIED", "PERMISSION_MISSING"):
        await world.reviews(world.asha).ListReviewCases(ListReviewCasesRequest())
    stranger = world.harness.person(roles=["staff"], tenant="other")
    answer = await world.reviews(stranger).ListReviewCases(ListReviewCasesRequest())
    assert not answer.review_cases


async def test_bad_input_is_refused_with_its_field(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="pageSize"):
        await world.reviews(world.chris).ListReviewCases(ListReviewCasesRequest(page_size=-1))
    with assert_refused("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
        await world.reviews(world.chris).ListReviewCases(ListReviewCasesRequest(page_token="x"))
