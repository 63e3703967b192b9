"""`hazina.auth.v1.AuthService`."""

from google.protobuf.empty_pb2 import Empty

from hazina.auth.v1 import auth_service_pb2 as pb
from services.auth import convert, domain
from services.auth.operations import accounts, sessions
from services.auth.operations.desk import Desk
from services.kit.identity import Call


class AuthHandlers:
    """Sign-up, login and sessions."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def SignUp(self, request: pb.SignUpRequest, call: Call) -> pb.SignUpResponse:
        form = convert.sign_up_form(request)
        pending = await accounts.sign_up(
            self._desk,
            convert.origin(call),
            identifier=form.identifier,
            secret=form.secret,
            display_name=form.display_name,
            locale=form.locale,
        )
        user = convert.pending_user(form, pending)
        return pb.SignUpResponse(user=user, verification_required=True)

    async def VerifyIdentity(
        self, request: pb.VerifyIdentityRequest, call: Call
    ) -> pb.TokenResponse:
        tokens = await accounts.verify_identity(
            self._desk,
            convert.origin(call),
            identifier=domain.parse_identifier(request.identifier),
            code=request.code,
        )
        return convert.token_response(tokens)

    async def ResendCode(self, request: pb.ResendCodeRequest, call: Call) -> Empty:
        await accounts.resend_code(
            self._desk,
            convert.origin(call),
            identifier=domain.parse_identifier(request.identifier),
        )
        return Empty()

    async def Login(self, request: pb.LoginRequest, call: Call) -> pb.TokenResponse:
        tokens = await sessions.login(
            self._desk,
            convert.origin(call),
            identifier=domain.parse_identifier(request.identifier),
            secret=convert.login_secret(request),
            totp_code=request.totp_code,
        )
        return convert.token_response(tokens)

    async def RefreshToken(self, request: pb.RefreshTokenRequest, call: Call) -> pb.TokenResponse:
        tokens = await sessions.refresh_token(self._desk, refresh_token=request.refresh_token)
        return convert.token_response(tokens)

    async def Logout(self, request: pb.LogoutRequest, call: Call) -> Empty:
        await sessions.logout(self._desk, refresh_token=request.refresh_token)
        return Empty()

    async def Recover(self, request: pb.RecoverRequest, call: Call) -> pb.RecoverResponse:
        identifier = domain.parse_identifier(request.identifier)
        origin = convert.origin(call)
        if not request.code:
            await accounts.send_recovery_code(self._desk, origin, identifier=identifier)
            return pb.RecoverResponse(code_sent=True)
        tokens = await accounts.recover(
            self._desk,
            origin,
            identifier=identifier,
            code=request.code,
            secret=convert.new_secret(request),
            totp_code=request.totp_code,
        )
        return convert.recover_response(tokens)

    async def StepUp(self, request: pb.StepUpRequest, call: Call) -> pb.TokenResponse:
        tokens = await sessions.step_up(
            self._desk,
            convert.origin(call),
            user_id=call.signed_in.id,
            session_id=call.signed_in.session_id,
            totp_code=request.totp_code,
            refresh_token=request.refresh_token,
        )
        return convert.token_response(tokens)

    async def GetJsonWebKeySet(
        self, request: pb.GetJsonWebKeySetRequest, call: Call
    ) -> pb.JsonWebKeySet:
        return convert.json_web_key_set(self._desk.signer.public_keys())
