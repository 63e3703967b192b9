"""A small invented contract, so that rules are tested without leaning on the real ones."""

from __future__ import annotations

import shutil
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from mesh.contract import descriptors
from mesh.contract.model import Contract
from mesh.contract.read import read

ROOT = Path(__file__).resolve().parents[3]
GRAMMAR = ("hazina/policy/v1/policy.proto", "hazina/type/v1/error_reason.proto")
SHARED = ("hazina/type/v1/money.proto", "hazina/type/v1/status.proto")
FOREIGN = ("envoyproxy/service/auth/v3/external_auth.proto",)

SHOP = """
// A shop.
syntax = "proto3";

package hazina.shop.v1;

import "buf/validate/validate.proto";
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/timestamp.proto";
import "hazina/policy/v1/policy.proto";
import "hazina/type/v1/money.proto";

// Why the shop refuses.
enum ErrorReason {
  // Never sent.
  ERROR_REASON_UNSPECIFIED = 0;
  // Nothing is left.
  SOLD_OUT = 1 [(hazina.policy.v1.refusal) = {code: FAILED_PRECONDITION}];
}

// Sells things.
service ShopService {
  // Sells one thing. The second
  // sentence tells more.
  rpc BuyThing(BuyThingRequest) returns (BuyThingResponse) {
    option (google.api.http) = {post: "/api/v1/things/{thing_id}:buy" body: "*"};
    option (hazina.policy.v1.policy) = {access: USER permissions: "payments.transfer" rate: MONEY timeout: {seconds: 4} idempotency: KEYED audited: true reasons: ["SOLD_OUT", "NOT_FOUND"]};
  }

  // Things, by name.
  rpc ListThings(ListThingsRequest) returns (ListThingsResponse) {
    option (google.api.http) = {get: "/api/v1/things"};
    option (hazina.policy.v1.policy) = {access: USER permissions: "payments.read" rate: READ timeout: {seconds: 5} idempotency: SAFE};
  }

  // Things as they come.
  rpc WatchThings(WatchThingsRequest) returns (stream Thing) {
    option (google.api.http) = {get: "/api/v1/things:watch"};
    option (hazina.policy.v1.policy) = {access: USER rate: STREAM idempotency: SAFE};
  }

  // Opening hours.
  rpc GetHours(GetHoursRequest) returns (Hours) {
    option (google.api.http) = {get: "/api/v1/hours" additional_bindings {get: "/api/v1/shops/{shop_id}/hours"}};
    option (hazina.policy.v1.policy) = {access: PUBLIC timeout: {seconds: 1 nanos: 500000000} idempotency: SAFE};
  }

  // Takes a picture.
  rpc PutPicture(PutPictureRequest) returns (google.api.HttpBody) {
    option (google.api.http) = {put: "/pictures/{secret}" body: "picture"};
    option (hazina.policy.v1.policy) = {access: PUBLIC rate: AUTH timeout: {seconds: 2} idempotency: NONE body_bytes_max: 1000000};
  }

  // What was sold.
  rpc CountSales(CountSalesRequest) returns (Hours) {
    option (hazina.policy.v1.policy) = {access: SERVICE callers: "ops" timeout: {seconds: 3} idempotency: SAFE};
  }

  // Sells nothing.
  rpc TryThings(TryThingsRequest) returns (Hours) {
    option (google.api.http) = {get: "/dev/v1/things"};
    option (hazina.policy.v1.policy) = {access: PUBLIC timeout: {seconds: 1} idempotency: SAFE development_only: true};
  }
}

// What to buy.
message BuyThingRequest {
  // The thing.
  string thing_id = 1 [(buf.validate.field).string.uuid = true];
  // What is paid.
  hazina.type.v1.Money amount = 2 [(buf.validate.field).required = true, (buf.validate.field).cel = {id: "a" message: "must be more than zero" expression: "this.minor_units > 0"}];
  // How it comes. One is required.
  oneof delivery {
    option (buf.validate.oneof).required = true;
    // To an address.
    string address = 3 [(buf.validate.field).string = {min_len: 3 max_len: 20}];
    // Fetched.
    bool fetched = 4;
  }
  // How many.
  int32 count = 5 [(buf.validate.field).int32 = {gte: 1 lte: 9}];
  // Words.
  repeated string words = 6 [(buf.validate.field).repeated = {max_items: 3 unique: true items: {string: {min_len: 1}}}];
}

// What was bought.
message BuyThingResponse {
  // The thing.
  Thing thing = 1;
}

// A thing.
message Thing {
  // How a thing is.
  enum State {
    // Never sent.
    STATE_UNSPECIFIED = 0;
    // New.
    NEW = 1;
  }
  // Its id.
  string id = 1;
  // Its price.
  hazina.type.v1.Money price = 2;
  // How it is.
  State state = 3;
  // How often it was seen.
  int64 view_count = 4;
  // Facts.
  map<string, string> facts = 5;
  // Of the same kind.
  repeated Thing similar = 6;
  // When it came.
  google.protobuf.Timestamp create_time = 7;
  // Its weight, if known.
  optional int32 weight = 8;
}

// Asks for things.
message ListThingsRequest {
  // How many at once.
  int32 page_size = 1;
  // The token of the page before.
  string page_token = 2;
  // Only these.
  Thing.State state = 3;
}

// Things.
message ListThingsResponse {
  // By name.
  repeated Thing things = 1;
  // Asks for the next page.
  string next_page_token = 2;
}

// Asks for things as they come.
message WatchThingsRequest {}

// Asks for opening hours.
message GetHoursRequest {
  // The shop.
  string shop_id = 1;
}

// Opening hours.
message Hours {
  // As text.
  string text = 1;
}

// A picture.
message PutPictureRequest {
  // The secret of the address.
  string secret = 1;
  // The picture.
  google.api.HttpBody picture = 2;
}

// Asks what was sold.
message CountSalesRequest {}

// Asks to sell nothing.
message TryThingsRequest {
  // The shop.
  string shop_id = 1;
}
"""


def compile_shop(folder: Path, *changes: tuple[str, str]) -> FileDescriptorSet:
    """The invented contract with the grammar of the real ones, and with pieces of its text changed."""
    text = SHOP
    for old, new in changes:
        assert old in text, f"the contract does not hold {old!r}"
        text = text.replace(old, new)
    for name in (*GRAMMAR, *SHARED, *FOREIGN):
        target = folder / "proto" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / "proto" / name, target)
    shop = folder / "proto/hazina/shop/v1/shop.proto"
    shop.parent.mkdir(parents=True, exist_ok=True)
    shop.write_text(text)
    return descriptors.compile_set(folder)


def read_shop(folder: Path, *changes: tuple[str, str]) -> Contract:
    """The same, read."""
    return read(compile_shop(folder, *changes))
