//! Setting a value in the tree.

use std::sync::Arc;

use crate::config::environment::resolve::{Step, Target};
use crate::config::error::Report;
use crate::config::keys::{self, Kind};
use crate::config::source::{Content, Node, Origin, read_variable};

/// Sets the value of a variable, or reports why it cannot.
pub(super) fn set(
    tree: &mut Node,
    target: &Target,
    name: &Arc<str>,
    value: &str,
    report: &mut Report,
) {
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
    match descend(tree, steps, &origin) {
        Ok(place) => {
            if let Some(node) = node {
                *place = node;
            }
        }
        Err(sentence) => report.variable(name, &target.path, sentence),
    }
}

/// Walks down to the value, and creates what is missing on the way. The error is a sentence.
fn descend<'t>(
    tree: &'t mut Node,
    steps: Vec<Step>,
    origin: &Origin,
) -> Result<&'t mut Node, String> {
    let mut place = tree;
    for step in steps {
        let there = place.origin.clone();
        let empty = Node {
            origin: origin.clone(),
            content: Content::Null,
        };
        place = match step {
            Step::Member(member) => {
                let members = place
                    .members_mut()
                    .ok_or_else(|| format!("its parent is not a section ({there})"))?;
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
                let items = place.items_mut().ok_or_else(|| {
                    format!("it sets an item of a list, but the value is not a list ({there})")
                })?;
                let next = items.len();
                if item > next {
                    return Err(format!(
                        "the list has {next} items, so the next index is {next}, not {item}"
                    ));
                }
                if item == next {
                    items.push(empty);
                }
                &mut items[item]
            }
        };
    }
    Ok(place)
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
        Kind::Headers
        | Kind::SecretHeaders
        | Kind::HeaderSources
        | Kind::Lists
        | Kind::Fields
        | Kind::Anything
        | Kind::Nothing => false,
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
        // a single glob or regular expression need not be YAML, unless it begins like a list, a map or a quotation
        Err(_)
            if !text.starts_with(['[', '{', '"', '\''])
                && (takes_text
                    || takes_texts
                    || is_inside
                    || matches!(key.map(|key| key.kind), Some(Kind::Anything))) =>
        {
            Ok(as_text())
        }
        // the parser's message could repeat parts of a secret
        Err(_) => Err(
            "its value is not YAML: close every bracket and quote, or put all of it in quotes"
                .to_owned(),
        ),
    }
}
