"""What the payments service does. Nothing here knows gRPC, protobuf or HTTP.

`orders` begin a transaction and answer the caller; `steps` carry a transaction from state to state; `provider` asks the
outside world and listens to it; `review` is for the people who decide; `reading` answers questions.
"""
