//! From the name of a variable to the value that it sets.

use crate::config::keys::{self, Key, Kind, Status};

/// One level of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Member(String),
    Item(usize),
}

/// The target of a variable.
#[derive(Debug)]
pub(super) struct Target {
    /// Path in the table of keys.
    pub path: String,
    pub steps: Vec<Step>,
    /// True if it is one of several texts of the key.
    pub is_part: bool,
    /// True if the variable goes deeper than the table of keys.
    pub is_guessed: bool,
}

/// The first unknown part of a variable, and the section it is in.
pub(super) struct Unknown {
    pub path: String,
    pub part: String,
}

/// Resolves a name, split at `_`.
pub(super) fn resolve(parts: &[&str]) -> Result<Target, Unknown> {
    let mut target = Target {
        path: String::new(),
        steps: Vec::new(),
        is_part: false,
        is_guessed: false,
    };
    let mut left = parts;
    while let [part, rest @ ..] = left {
        if keys::is_list(&target.path) {
            let item = part.parse().map_err(|_| target.unknown(part))?;
            target.steps.push(Step::Item(item));
            target.path += "[]";
        } else if let Some(name) = target.member(part) {
            target.steps.push(Step::Member(name.to_owned()));
            target.path = keys::join(&target.path, name);
        } else {
            return match keys::find(&target.path) {
                Some(key) => target.inside(key, part, rest),
                None => Err(target.unknown(part)),
            };
        }
        left = rest;
    }
    Ok(target)
}

impl Target {
    fn unknown(&self, part: &str) -> Unknown {
        Unknown {
            path: self.path.clone(),
            part: part.to_lowercase(),
        }
    }

    /// Finds a member of the section by its name in the file or in distribution's source.
    fn member(&self, part: &str) -> Option<&'static str> {
        let part = part.to_uppercase();
        keys::members(&self.path).into_iter().find(|name| {
            name.to_uppercase() == part
                || keys::other_name(&keys::join(&self.path, name))
                    .is_some_and(|other| other == part)
        })
    }

    /// Resolves the rest of a name, from `part` on, which is inside the value of a key.
    fn inside(mut self, key: &Key, part: &str, rest: &[&str]) -> Result<Self, Unknown> {
        let lower_case = |parts: &[&str]| -> Vec<String> {
            std::iter::once(&part)
                .chain(parts)
                .map(|part| part.to_lowercase())
                .collect()
        };
        match key.kind {
            Kind::Texts | Kind::Words(_) if rest.is_empty() => {
                let item = part.parse().map_err(|_| self.unknown(part))?;
                self.steps.push(Step::Item(item));
                self.is_part = true;
            }
            Kind::Headers | Kind::SecretHeaders | Kind::HeaderSources => {
                let (name, item) = match rest.split_last() {
                    Some((last, name)) if last.parse::<usize>().is_ok() => {
                        (name, last.parse().ok())
                    }
                    _ => (rest, None),
                };
                // shells reject hyphens in names, and header names hardly ever contain underscores
                self.steps.push(Step::Member(lower_case(name).join("-")));
                self.steps.extend(item.map(Step::Item));
                self.is_part = item.is_some();
            }
            Kind::Fields => self.steps.push(Step::Member(lower_case(rest).join("_"))),
            // ignored and rejected keys are not listed in full depth
            _ if key.status != Status::Supported => {
                let step = |part: &&str| {
                    part.parse()
                        .map_or_else(|_| Step::Member(part.to_lowercase()), Step::Item)
                };
                self.steps
                    .extend(std::iter::once(&part).chain(rest).map(step));
                self.is_guessed = true;
            }
            _ => return Err(self.unknown(part)),
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::name::{PREFIX, name_of};

    fn steps(name: &str) -> Option<(String, String)> {
        let parts: Vec<_> = name.split('_').collect();
        let target = resolve(&parts).ok()?;
        let step = |step: &Step| match step {
            Step::Member(name) => format!("/{name}"),
            Step::Item(item) => format!("/{item}"),
        };
        Some((target.path, target.steps.iter().map(step).collect()))
    }

    /// Variables, each with its key and its place in the tree.
    const NAMES: &[(&str, &str, &str)] = &[
        ("HTTP_ADDR", "http.addr", "/http/addr"),
        ("http_Addr", "http.addr", "/http/addr"),
        ("STORAGE", "storage", "/storage"),
        (
            "HTTP_TLS_CLIENTCAS_1",
            "http.tls.clientcas",
            "/http/tls/clientcas/1",
        ),
        (
            "HTTP_TLS_LETSENCRYPT_HOSTS_0",
            "http.tls.letsencrypt.hosts",
            "/http/tls/letsencrypt/hosts/0",
        ),
        (
            "NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES",
            "notifications.events.includereferences",
            "/notifications/events/includereferences",
        ),
        (
            "HEALTH_HTTPCHECKERS_0_URI",
            "health.http[].uri",
            "/health/http/0/uri",
        ),
        (
            "HEALTH_HTTP_0_URI",
            "health.http[].uri",
            "/health/http/0/uri",
        ),
        (
            "HEALTH_TCPCHECKERS_2_ADDR",
            "health.tcp[].addr",
            "/health/tcp/2/addr",
        ),
        ("HEALTH_FILECHECKERS", "health.file", "/health/file"),
        (
            "LOG_HOOKS_0_MAILOPTIONS_SMTP_PASSWORD",
            "log.hooks[].options.smtp.password",
            "/log/hooks/0/options/smtp/password",
        ),
        (
            "HTTP_HEADERS_X-CONTENT-TYPE-OPTIONS",
            "http.headers",
            "/http/headers/x-content-type-options",
        ),
        (
            "HTTP_HEADERS_X_FRAME_OPTIONS_0",
            "http.headers",
            "/http/headers/x-frame-options/0",
        ),
        ("LOG_FIELDS_MY_FIELD", "log.fields", "/log/fields/my_field"),
        ("REDIS_OPTIONS_ADDRS", "redis", "/redis/options/addrs"),
        (
            "STORAGE_GCS_CREDENTIALS_TYPE",
            "storage.gcs.credentials.type",
            "/storage/gcs/credentials/type",
        ),
    ];

    #[test]
    fn names_lead_to_keys() {
        for (name, path, place) in NAMES {
            assert_eq!(
                steps(name),
                Some(((*path).to_owned(), (*place).to_owned())),
                "{name}"
            );
        }
        for unknown in [
            "HTTP_ADR",
            "HTTP_ADDR_X",
            "HTTP_TLS_CLIENTCAS_X",
            "HEALTH_HTTP_URI",
            "PORT",
            "HTTP_HTTP2_DISABLED_0",
        ] {
            assert_eq!(steps(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn every_key_has_its_variable() {
        for key in keys::all()
            .iter()
            .filter(|key| key.status == Status::Supported)
        {
            let name = name_of(&key.path);
            let found = steps(name.strip_prefix(PREFIX).unwrap()).map(|(path, _)| path);
            assert_eq!(found.as_deref(), Some(&*key.path), "{name}");
        }
    }
}
