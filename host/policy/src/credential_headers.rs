//! Names of header fields that carry credentials, as `config` of a model may not have them and the egress guard holds them back.
//!
//! The names are those of RFC 6265, 7235, 9421 and 9449 and of common providers, clouds and gateways. All are lower case and have `-`
//! for `_`: where headers become variables, as in CGI, the two are one character.

/// The names, in lower case and with `-` for `_`.
pub const CREDENTIAL_HEADERS: &[&str] = &[
    "access-token",
    "api-key",
    "api-secret",
    "api-token",
    "apikey",
    "authorization",
    "auth-token",
    "cookie",
    "cookie2",
    "dpop",
    "token",
    "x-access-token",
    "x-api-key",
    "x-api-secret",
    "x-api-token",
    "x-apikey",
    "x-auth",
    "x-auth-key",
    "x-auth-token",
    "x-authorization",
    "x-client-secret",
    "x-id-token",
    "x-jwt",
    "x-jwt-assertion",
    "x-session-token",
    "x-token",
    "x-user-token",
    // Signatures over the message (RFC 9421).
    "signature",
    "signature-input",
    // Azure.
    "ocp-apim-subscription-key",
    "subscription-key",
    "x-functions-key",
    "x-ms-authorization-auxiliary",
    "x-subscription-key",
    // Amazon.
    "x-amz-access-token",
    "x-amz-security-token",
    // Google. Cloud Run prefers `x-serverless-authorization` over `authorization`.
    "x-goog-api-key",
    "x-goog-iam-authority-selector",
    "x-goog-iam-authorization-token",
    "x-serverless-authorization",
    // GitLab.
    "deploy-token",
    "job-token",
    "private-token",
    // Other providers and gateways.
    "x-consul-token",
    "x-rapidapi-key",
    "x-rapidapi-proxy-secret",
    "x-subscription-token",
    "x-vault-token",
    "xi-api-key",
];
