//! Environment variables that override the file: `REGISTRY_HTTP_ADDR` sets `http.addr`.
//!
//! As in distribution, `_` separates levels, a number is the index of a list item, names of distribution's source are
//! accepted beside those of the file, a value is YAML, and less specific variables are applied first. Beyond distribution,
//! items of every list can be set, sections need not be in the file, and a variable inside a storage driver or an
//! authentication method selects it. [`Origin`] records the variable of each value.

use std::ffi::OsString;
use std::sync::Arc;

use crate::config::error::Report;
use crate::config::keys::{self, Kind, Status};
use crate::config::source::{Content, Node, Origin, read_variable};

/// Prefix of variables that override keys.
pub(super) const PREFIX: &str = "REGISTRY_";

/// Variable that names the file.
pub const FILE_VARIABLE: &str = "REGISTRY_CONFIGURATION_PATH";

/// Returns the variable that sets a key: `REGISTRY_HEALTH_HTTP_0_URI` for `health.http[].uri`.
pub(super) fn name_of(path: &str) -> String {
    format!(
        "{PREFIX}{}",
        path.replace("[]", "_0").replace('.', "_").to_uppercase()
    )
}

/// Overrides values of `tree` with variables.
pub(super) fn overlay(
    tree: &mut Node,
    environment: impl Iterator<Item = (OsString, OsString)>,
    report: &mut Report,
) {
    let named = environment.filter_map(|(name, value)| {
        let name = name
            .into_string()
            .ok()
            .filter(|name| name.starts_with(PREFIX) && name != FILE_VARIABLE)?;
        Some((Arc::from(name), value))
    });
    let mut variables: Vec<(Arc<str>, OsString)> = named.collect();
    // a whole section (REGISTRY_STORAGE) before the keys in it, and item 9 of a list before item 10
    variables.sort_by_cached_key(|(name, _)| {
        let parts = name
            .split('_')
            .map(|part| (part.parse::<usize>().unwrap_or(usize::MAX), part.to_owned()));
        parts.collect::<Vec<_>>()
    });
    for (name, value) in variables {
        let parts: Vec<&str> = name[PREFIX.len()..].split('_').collect();
        let Ok(value) = value.into_string() else {
            report.variable(&name, "", "its value is not UTF-8".to_owned());
            continue;
        };
        match resolve(&parts) {
            Ok(target) if target.is_guessed && is_of_a_service(&parts, &value) => {
                ignore_service(&name, report)
            }
            Ok(target) => set(tree, &target, &name, &value, report),
            Err(unknown) => report_unknown(&unknown, &parts, &name, &value, report),
        }
    }
}

/// One level of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
}

/// The target of a variable.
#[derive(Debug)]
struct Target {
    /// Path in the table of keys.
    path: String,
    steps: Vec<Step>,
    /// True if it is one of several texts of the key.
    is_part: bool,
    /// True if the variable goes deeper than the table of keys.
    is_guessed: bool,
}

/// The first unknown part of a variable, and the section it is in.
struct Unknown {
    path: String,
    part: String,
}

fn resolve(parts: &[&str]) -> Result<Target, Unknown> {
    let mut target = Target {
        path: String::new(),
        steps: Vec::new(),
        is_part: false,
        is_guessed: false,
    };
    let mut left = parts;
    while let [part, rest @ ..] = left {
        let unknown = || Unknown {
            path: target.path.clone(),
            part: part.to_lowercase(),
        };
        left = rest;
        if keys::is_list(&target.path) {
            target
                .steps
                .push(Step::Item(part.parse().map_err(|_| unknown())?));
            target.path += "[]";
            continue;
        }
        let upper = part.to_uppercase();
        let is_meant = |name: &&&str| {
            name.to_uppercase() == upper
                || keys::other_name(&keys::join(&target.path, name))
                    .is_some_and(|other| other == upper)
        };
        if let Some(name) = keys::members(&target.path).iter().find(is_meant) {
            target.steps.push(Step::Member((*name).to_owned()));
            target.path = keys::join(&target.path, name);
            continue;
        }
        let Some(key) = keys::find(&target.path) else {
            return Err(unknown());
        };
        match key.kind {
            Kind::Texts | Kind::Words(_) if rest.is_empty() => {
                target
                    .steps
                    .push(Step::Item(part.parse().map_err(|_| unknown())?));
                target.is_part = true;
            }
            Kind::Headers | Kind::SecretHeaders => {
                // shells reject hyphens in names, and header names hardly ever contain underscores
                let (name, item) = match rest
                    .split_last()
                    .map(|(last, middle)| (last.parse().ok(), middle))
                {
                    Some((Some(item), middle)) => (middle, Some(item)),
                    _ => (rest, None),
                };
                let name: Vec<_> = std::iter::once(part)
                    .chain(name)
                    .map(|part| part.to_lowercase())
                    .collect();
                target.steps.push(Step::Member(name.join("-")));
                target.steps.extend(item.map(Step::Item));
                target.is_part = item.is_some();
                left = &[];
            }
            Kind::Fields => {
                let name: Vec<_> = std::iter::once(part)
                    .chain(rest)
                    .map(|part| part.to_lowercase())
                    .collect();
                target.steps.push(Step::Member(name.join("_")));
                left = &[];
            }
            // ignored and rejected keys are not listed in full depth
            _ if key.status != Status::Supported => {
                let step = |part: &&str| {
                    part.parse()
                        .map_or_else(|_| Step::Member(part.to_lowercase()), Step::Item)
                };
                target
                    .steps
                    .extend(std::iter::once(part).chain(rest).map(step));
                target.is_guessed = true;
                left = &[];
            }
            _ => return Err(unknown()),
        }
    }
    Ok(target)
}

fn report_unknown(
    unknown: &Unknown,
    parts: &[&str],
    name: &Arc<str>,
    value: &str,
    report: &mut Report,
) {
    if unknown.path.is_empty() {
        // not an error: Kubernetes sets such variables for a service called registry
        let near = keys::nearest("", &unknown.part).filter(|near| !near.contains('.'));
        let hint = near
            .map(|near| format!(": did you mean {}?", meant(name, &near)))
            .unwrap_or_default();
        report.notes.push(format!(
            "the variable {name} names no section of the configuration and is ignored{hint}"
        ));
    } else if is_of_a_service(parts, value) {
        ignore_service(name, report);
    } else if keys::is_list(&unknown.path) {
        report.variable(
            name,
            &unknown.path,
            format!(
                "{} is a list: replace {} with the index of an item, from 0",
                unknown.path, unknown.part
            ),
        );
    } else {
        let near = keys::nearest(&unknown.path, &unknown.part);
        let hint = near
            .map(|path| format!(": did you mean {}?", name_of(&path)))
            .unwrap_or_default();
        let key = keys::join(&unknown.path, &unknown.part);
        report.variable(name, &key, format!("unknown key {key}{hint}"));
    }
}

/// Returns the name of the variable with its section replaced.
fn meant(name: &str, section: &str) -> String {
    let rest = name[PREFIX.len()..]
        .find('_')
        .map_or("", |end| &name[PREFIX.len() + end..]);
    format!("{}{rest}", name_of(section))
}

fn ignore_service(name: &str, report: &mut Report) {
    report.notes.push(format!(
        "the variable {name} looks like one that Kubernetes sets for a service, and is ignored"
    ));
}

/// True if Kubernetes sets such a variable for a service `registry-…`, where `…` may be the name of a section.
fn is_of_a_service(parts: &[&str], value: &str) -> bool {
    let ends = |end: &[&str]| parts.ends_with(end);
    let is_url = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| value.starts_with(scheme));
    let is_of_port = parts
        .windows(2)
        .any(|pair| matches!(pair, ["PORT", number] if number.parse::<u16>().is_ok()));
    ends(&["SERVICE", "HOST"])
        || parts.windows(2).any(|pair| pair == ["SERVICE", "PORT"])
        || ends(&["PORT"]) && is_url
        || is_of_port
}

fn set(tree: &mut Node, target: &Target, name: &Arc<str>, value: &str, report: &mut Report) {
    let origin = Origin::Variable(Arc::clone(name));
    let node = match read(target, name, value) {
        Ok(node) => node,
        Err(sentence) => return report.variable(name, &target.path, sentence),
    };
    let mut steps = target.steps.clone();
    let mut node = Some(node);
    // REGISTRY_AUTH=htpasswd selects the method, and keeps its keys in the file
    if let [Step::Member(section)] = &*steps
        && !keys::alternatives(section).is_empty()
        && let Some(Node {
            content: Content::Scalar(word),
            ..
        }) = &node
    {
        steps.push(Step::Member(word.text.clone()));
        node = None;
    }
    if let [Step::Member(section), Step::Member(chosen), ..] = &*steps {
        choose(tree, section, chosen, &origin, report);
    }
    let mut place = tree;
    for step in steps {
        let there = place.origin.clone();
        let empty = Node {
            origin: origin.clone(),
            content: Content::Null,
        };
        place = match step {
            Step::Member(member) => {
                let Some(members) = place.members_mut() else {
                    let sentence = format!("its parent is not a section ({there})");
                    return report.variable(name, &target.path, sentence);
                };
                let found = members
                    .iter()
                    .position(|(known, _)| known.eq_ignore_ascii_case(&member));
                let index = found.unwrap_or(members.len());
                if found.is_none() {
                    members.push((member, empty));
                }
                &mut members[index].1
            }
            Step::Item(item) => {
                let Some(items) = place.items_mut() else {
                    let sentence =
                        format!("it sets an item of a list, but the value is not a list ({there})");
                    return report.variable(name, &target.path, sentence);
                };
                if item > items.len() {
                    let next = items.len();
                    let sentence = format!(
                        "the list has {next} items, so the next index is {next}, not {item}"
                    );
                    return report.variable(name, &target.path, sentence);
                }
                if item == items.len() {
                    items.push(empty);
                }
                &mut items[item]
            }
        };
    }
    if let Some(node) = node {
        *place = node;
    }
}

/// Replaces the storage driver or authentication method of the file with the one that a variable names.
fn choose(tree: &mut Node, section: &str, chosen: &str, origin: &Origin, report: &mut Report) {
    let alternatives = keys::alternatives(section);
    if !alternatives.contains(&chosen) {
        return;
    }
    let Some((_, node)) = tree
        .members_mut()
        .and_then(|members| members.iter_mut().find(|(name, _)| name == section))
    else {
        return;
    };
    let Some(members) = node.members_mut() else {
        return;
    };
    members.retain(|(name, member)| {
        let gives_way = name != chosen
            && alternatives.contains(&&**name)
            && matches!(member.origin, Origin::File { .. });
        if gives_way {
            report.note(
                &member.origin,
                &format!("{section}.{name} is overridden by {section}.{chosen} of the {origin}"),
            );
        }
        !gives_way
    });
}

/// Parses the value of a variable; the error is a sentence.
fn read(target: &Target, name: &Arc<str>, value: &str) -> Result<Node, String> {
    let origin = || Origin::Variable(Arc::clone(name));
    let key = keys::find(&target.path);
    let takes_text = key.is_some_and(|key| match key.kind {
        Kind::Headers | Kind::SecretHeaders | Kind::Fields | Kind::Anything | Kind::Nothing => {
            false
        }
        Kind::Texts | Kind::Words(_) => target.is_part,
        _ => true,
    });
    let text = value.trim();
    let as_text = || Node::text(text, origin());
    if text.is_empty() || text == "~" {
        return Ok(Node {
            origin: origin(),
            content: Content::Null,
        });
    }
    // unquoted addresses, paths and realms are text, even if they look like other YAML
    if (takes_text || target.is_part) && !text.starts_with(['"', '\'']) {
        return Ok(as_text());
    }
    // a single header or field
    let is_inside = matches!(key, Some(key) if target.steps.len() > key.path.split('.').count());
    let takes_texts = matches!(key.map(|key| key.kind), Some(Kind::Texts | Kind::Words(_)));
    match read_variable(name, value) {
        Ok(Node {
            content: Content::Scalar(_) | Content::Null,
            ..
        }) if key.is_none() && keys::alternatives(&target.path).is_empty() => Err(format!(
            "{} is a section: give its keys as YAML",
            target.path
        )),
        Ok(
            node @ Node {
                content: Content::Scalar(_),
                ..
            },
        ) => Ok(node),
        Ok(Node {
            content: Content::Map(_),
            ..
        }) if takes_texts || is_inside => Ok(as_text()),
        Ok(_) if takes_text => Ok(as_text()),
        Ok(node) => Ok(node),
        // a single glob or regular expression need not be YAML
        Err(_)
            if takes_text
                || takes_texts
                || is_inside
                || matches!(key.map(|key| key.kind), Some(Kind::Anything)) =>
        {
            Ok(as_text())
        }
        // the parser's message could repeat parts of a secret
        Err(_) => Err("its value is not YAML".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(name: &str) -> Option<(String, String)> {
        let parts: Vec<_> = name.split('_').collect();
        let target = resolve(&parts).ok()?;
        let step = |step: &Step| match step {
            Step::Member(name) => format!("/{name}"),
            Step::Item(item) => format!("/{item}"),
        };
        Some((target.path, target.steps.iter().map(step).collect()))
    }

    #[test]
    fn names_lead_to_keys() {
        for (name, path, place) in [
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
        ] {
            assert_eq!(
                steps(name),
                Some((path.to_owned(), place.to_owned())),
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
