//! Applying all variables, in order.

use std::ffi::OsString;
use std::sync::Arc;

use crate::config::environment::name::{FILE_VARIABLE, PREFIX, name_of, with_section};
use crate::config::environment::resolve::{Unknown, resolve};
use crate::config::environment::set::set;
use crate::config::error::Report;
use crate::config::keys;
use crate::config::source::Node;

/// Variable of podman, skopeo and buildah that many shells have set (containers-auth.json(5)).
const LOGINS_OF_PODMAN: &str = "REGISTRY_AUTH_FILE";

/// Overrides values of `tree` with variables.
pub(in crate::config) fn overlay(
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
        if *name == *LOGINS_OF_PODMAN {
            report.notes.push(format!(
                "the variable {name} names the logins of podman and skopeo, and is ignored"
            ));
            continue;
        }
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
            .map(|near| format!(": did you mean {}?", with_section(name, &near)))
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
        let key = keys::join(&unknown.path, &unknown.part);
        if let Some(sentence) = keys::renamed(&unknown.path, &unknown.part, Some(value)) {
            report.variable(name, &key, format!("{key} {sentence}"));
            return;
        }
        let near = keys::nearest(&unknown.path, &unknown.part);
        let hint = near
            .map(|path| format!(": did you mean {}?", name_of(&path)))
            .unwrap_or_default();
        report.variable(name, &key, format!("unknown key {key}{hint}"));
    }
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
