//! Public suffixes under which strangers register names: a wildcard there would grant hosts of anyone.
//!
//! The list is short on purpose: second-level registries and common hosting services of <https://publicsuffix.org>. A wildcard that it
//! lacks is a warning, as all wildcards are.

/// The suffixes, in lower case and without a dot at their ends.
const SUFFIXES: [&str; 49] = [
    "ac.uk",
    "amazonaws.com",
    "appspot.com",
    "azureedge.net",
    "azurewebsites.net",
    "blogspot.com",
    "cloudapp.net",
    "cloudfront.net",
    "co.in",
    "co.jp",
    "co.kr",
    "co.nz",
    "co.uk",
    "co.za",
    "com.au",
    "com.br",
    "com.cn",
    "com.mx",
    "com.tr",
    "duckdns.org",
    "elasticbeanstalk.com",
    "firebaseapp.com",
    "fly.dev",
    "github.io",
    "gitlab.io",
    "glitch.me",
    "herokuapp.com",
    "hf.space",
    "loca.lt",
    "modal.run",
    "net.au",
    "netlify.app",
    "ngrok-free.app",
    "ngrok.app",
    "ngrok.io",
    "nip.io",
    "onrender.com",
    "org.uk",
    "pages.dev",
    "repl.co",
    "run.app",
    "sslip.io",
    "surge.sh",
    "trycloudflare.com",
    "up.railway.app",
    "vercel.app",
    "web.app",
    "workers.dev",
    "gov.uk",
];

/// Returns whether `name`, in lower case, is a public suffix.
pub(crate) fn is_public_suffix(name: &str) -> bool {
    SUFFIXES.contains(&name)
}
