//! The ways from a client to the registry: client tests run over each of them.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Plain HTTP without login.
    Plain,
    /// The registry's own TLS, with a private authority and a login.
    /// Not on a loopback address, where clients need no certificates.
    Guarded,
    /// nginx with TLS, configured as in docs/nginx.conf.
    Proxied,
}

/// The user, and the password.
pub const USER: &str = "tester:secret";

/// Flags that make clients use plain HTTP or ignore certificates.
const PLAIN: [&str; 9] = [
    "--plain-http",
    "--from-plain-http",
    "--to-plain-http",
    "--tls-verify=false",
    "--src-tls-verify=false",
    "--dest-tls-verify=false",
    "--allow-http-registry",
    "--insecure",
    "--tls=disabled",
];

impl Transport {
    pub const ALL: [Self; 3] = [Self::Plain, Self::Guarded, Self::Proxied];

    /// Suffix of the names of tests over this way.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Guarded => "-over-tls-with-login",
            Self::Proxied => "-behind-nginx",
        }
    }

    pub const fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Plain | Self::Guarded => &[],
            Self::Proxied => &["nginx", "curl"],
        }
    }

    /// Returns false for flags for plain HTTP, which are dropped where there is TLS.
    pub fn has_place_for(self, word: &str) -> bool {
        self == Self::Plain || !PLAIN.contains(&word)
    }

    /// Returns a login flag for clients that read no login file.
    pub fn login(self, flag: &str) -> String {
        if self == Self::Guarded {
            format!("{flag} {USER}")
        } else {
            String::new()
        }
    }
}
