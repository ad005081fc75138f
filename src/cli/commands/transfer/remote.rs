//! Flags of `registry import` about another registry that is running.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};

use tarkeep::import::{RemoteRegistry, Source};
use tarkeep::upstream::{Credentials, Login, Settings};

use crate::cli::error::Error;

#[derive(clap::Args)]
#[command(next_help_heading = "Another registry, named by its URL")]
pub(super) struct Remote {
    /// User at the other registry
    #[arg(long, value_name = "USER", requires = "password_file")]
    username: Option<String>,
    /// File with the user's password or token
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,
    /// Token service that may get the password, if it is not on the registry's own host and port; may be repeated
    #[arg(long, value_name = "HOST[:PORT]")]
    token_host: Vec<String>,
    /// Server with a private address to which a public registry may lead; may be repeated
    #[arg(long, value_name = "HOST[:PORT]")]
    private_host: Vec<String>,
    /// PEM file with an authority that certifies the other registry, beside the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Maximum number of requests at once [default: 8]
    #[arg(long, value_name = "NUMBER")]
    parallel: Option<NonZeroUsize>,
    /// Maximum number of requests in a second [default: no limit]
    #[arg(long, value_name = "NUMBER")]
    rate: Option<NonZeroU32>,
}

impl Remote {
    /// Opens the source of an import, whatever it is.
    pub(super) fn open(self, source: &Path) -> Result<Source, Error> {
        let url = source.to_str().filter(|text| is_url(text));
        let Some(url) = url else {
            if self.is_given() {
                let sentence = "the flags about another registry need its URL, as in registry import https://old.example";
                return Err(Error::Other(sentence.to_owned()));
            }
            if let Some(text) = source.to_str().filter(|text| is_host(text))
                && !source.exists()
            {
                return Err(Error::Other(format!(
                    "there is no file {text}; the URL of a registry begins with http:// or https://, as in registry import https://{text}"
                )));
            }
            return Ok(Source::open(source)?);
        };
        let mut settings = Settings::of(url);
        if let (Some(username), Some(path)) = (self.username, self.password_file) {
            settings.logins = vec![Login {
                repositories: None,
                credentials: Credentials::PasswordFile { username, path },
            }];
        }
        settings.realms = self.token_host;
        settings.private_hosts = self.private_host;
        settings.ca = self.ca;
        settings.rate = self.rate;
        if let Some(parallel) = self.parallel {
            settings.concurrency = parallel.get();
            settings.fetches = parallel.get();
        }
        let registry = RemoteRegistry::new(&settings).map_err(Error::Other)?;
        Ok(Source::Remote(registry))
    }

    fn is_given(&self) -> bool {
        self.username.is_some()
            || self.ca.is_some()
            || self.parallel.is_some()
            || self.rate.is_some()
            || !self.token_host.is_empty()
            || !self.private_host.is_empty()
    }
}

/// Reports whether a text looks like `HOST:PORT`.
fn is_host(text: &str) -> bool {
    let host = text.split('/').next().unwrap_or_default();
    let parts = host.rsplit_once(':');
    parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn is_url(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}
