"""What refusals say, in the words of real stores and hosts."""

import pytest

from receiver.assets.expiry import tells_of_denial, tells_of_expiry

XML = b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>%s</Code><Message>%s</Message></Error>"


class TestTellsOfExpiry:
    def test_run_out(self, subtests: pytest.Subtests) -> None:
        """Each of these hosts says, in its own way, that the URL will never work again."""
        for said in (
            XML % (b"AccessDenied", b"Request has expired"),  # Amazon, R2
            XML % (b"ExpiredToken", b"The provided token has expired."),  # Amazon and Google
            XML % (b"AccessDenied", b"Request has expired."),  # Alibaba
            XML % (b"ExpiredRequest", b"Request has expired"),
            XML % (b"TokenRefreshRequired", b"The provided token must be refreshed."),
            b"\xef\xbb\xbf" + XML % (b"AuthenticationFailed", b"Server failed to authenticate the request."),
            b'{"code": "expired_auth_token", "message": "Authorization token has expired", "status": 401}',
            b'{"statusCode":"400","error":"InvalidJWT","message":"\\"exp\\" claim timestamp check failed"}',
            b"URL signature expired",
            b"Expired",
            b"Link expired\n",
            b'{"error":"This link is already expired"}',
            b'{"error":"jwt expired"}',
            b'{"name":"TokenExpiredError"}',
            XML % (b"SecurityTokenExpired", b""),
            b"ExpiredSignatureError",
            b"The URL has been expired",
        ):
            with subtests.test(said=said):
                assert tells_of_expiry(said)

    def test_not_there(self, subtests: pytest.Subtests) -> None:
        """What may only be missing is not called expired, nor what a page for people guesses."""
        for said in (
            b"",
            XML % (b"AccessDenied", b"Access Denied"),
            XML % (b"NoSuchKey", b"The specified key does not exist."),
            b'{"error": "not found", "expired": false}',
            b'{"error": "not found", "tokenExpired": false, "urlExpired" : false}',
            b"unexpired tokens only",
            b"<!DOCTYPE html><p>The page has moved, or the link has expired.",
            b"\n<html lang=en><title>404</title>Your session expired",
            b"Expires: Thu, 01 Jan 1970 00:00:00 GMT",
        ):
            with subtests.test(said=said):
                assert not tells_of_expiry(said)


class TestTellsOfDenial:
    @pytest.mark.parametrize("code", [b"AccessDenied", b"NoSuchKey", b"SignatureDoesNotMatch"])
    def test_codes_of_stores(self, code: bytes) -> None:
        """A store's code tells it, under whatever status."""
        assert tells_of_denial(XML % (code, b""))

    def test_other_words(self) -> None:
        """Nothing else does."""
        assert not tells_of_denial(XML % (b"InvalidArgument", b"Bad"))
