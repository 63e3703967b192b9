"""Every refusal of the auth service. The contract (`auth_errors.proto`) explains each reason to callers."""

from services.kit.errors import ServiceError

__all__ = [
    "AccountSuspended",
    "AuthError",
    "CodeInvalid",
    "CredentialsInvalid",
    "EmailInvalid",
    "EtagMismatch",
    "IdentityNotVerified",
    "NotReady",
    "PasswordTooWeak",
    "PermissionNotGrantable",
    "PhoneInvalid",
    "PinTooWeak",
    "RefreshTokenInvalid",
    "RefreshTokenReused",
    "RoleNotFound",
    "TenantExists",
    "TooManyApiKeys",
    "TooManyAttempts",
    "TotpAlreadyEnabled",
    "TotpInvalid",
    "TotpNotEnabled",
    "TotpRequired",
    "UserNotFound",
]


class AuthError(ServiceError):
    """A refusal of the auth service."""

    domain = "auth.hazina"


class CredentialsInvalid(AuthError):
    """Identifier and secret do not belong together."""

    code, reason = "UNAUTHENTICATED", "CREDENTIALS_INVALID"


class IdentityNotVerified(AuthError):
    """The identifier is not verified yet; a new code is on its way."""

    code, reason = "FAILED_PRECONDITION", "IDENTITY_NOT_VERIFIED"


class CodeInvalid(AuthError):
    """The code is not valid."""

    code, reason = "INVALID_ARGUMENT", "CODE_INVALID"


class TooManyAttempts(AuthError):
    """Too many tries for this identifier; wait."""

    code, reason = "RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS"


class TotpRequired(AuthError):
    """The code of the authenticator app is needed, too."""

    code, reason = "UNAUTHENTICATED", "TOTP_REQUIRED"


class TotpInvalid(AuthError):
    """The code of the authenticator app is wrong or was used before."""

    code, reason = "UNAUTHENTICATED", "TOTP_INVALID"


class RefreshTokenInvalid(AuthError):
    """The refresh token is not valid; sign in again."""

    code, reason = "UNAUTHENTICATED", "REFRESH_TOKEN_INVALID"


class RefreshTokenReused(AuthError):
    """The refresh token was used before; the session has ended, sign in again."""

    code, reason = "UNAUTHENTICATED", "REFRESH_TOKEN_REUSED"


class AccountSuspended(AuthError):
    """The account is suspended."""

    code, reason = "PERMISSION_DENIED", "ACCOUNT_SUSPENDED"


class PasswordTooWeak(AuthError):
    """The password is too easy to guess."""

    code, reason = "INVALID_ARGUMENT", "PASSWORD_TOO_WEAK"


class PinTooWeak(AuthError):
    """The PIN is too easy to guess."""

    code, reason = "INVALID_ARGUMENT", "PIN_TOO_WEAK"


class PhoneInvalid(AuthError):
    """This is not a phone number."""

    code, reason = "INVALID_ARGUMENT", "PHONE_INVALID"


class EmailInvalid(AuthError):
    """This is not an email address."""

    code, reason = "INVALID_ARGUMENT", "EMAIL_INVALID"


class TotpAlreadyEnabled(AuthError):
    """An authenticator app is on already."""

    code, reason = "FAILED_PRECONDITION", "TOTP_ALREADY_ENABLED"


class TotpNotEnabled(AuthError):
    """No authenticator app is on."""

    code, reason = "FAILED_PRECONDITION", "TOTP_NOT_ENABLED"


class PermissionNotGrantable(AuthError):
    """A key may not do what its maker may not do."""

    code, reason = "PERMISSION_DENIED", "PERMISSION_NOT_GRANTABLE"


class TooManyApiKeys(AuthError):
    """There are as many live keys as a person may have; revoke one first."""

    code, reason = "FAILED_PRECONDITION", "TOO_MANY_API_KEYS"


class NotReady(AuthError):
    """At least one needed part is not ready."""

    code, reason = "UNAVAILABLE", "NOT_READY"


class UserNotFound(AuthError):
    """There is no such person."""

    code, reason = "NOT_FOUND", "USER_NOT_FOUND"


class TenantExists(AuthError):
    """There is a tenant of this id already."""

    code, reason = "ALREADY_EXISTS", "TENANT_EXISTS"


class RoleNotFound(AuthError):
    """There is no such role in this tenant."""

    code, reason = "NOT_FOUND", "ROLE_NOT_FOUND"


class EtagMismatch(AuthError):
    """The profile changed since it was read; read it again."""

    code, reason = "ABORTED", "ETAG_MISMATCH"
