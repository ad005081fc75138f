//! Rules that somebody tries out: read from text, and written as it.

use crate::oci::Glob;
use crate::registry::policy::duration::format_duration;
use crate::registry::policy::keep_untagged::KeepUntagged;
use crate::registry::policy::retention::Retention;
use crate::registry::policy::tag_policy::{Policy, TagRule};

/// Rules that somebody tries out.
#[derive(Clone, Debug)]
pub struct EditedRules {
    pub policies: Vec<Policy>,
    /// `None` for what is in force.
    pub keep_untagged: Option<KeepUntagged>,
}

/// Reader of rules in the notation of the configuration, which operations do not know.
#[derive(Clone, Copy, Debug)]
pub struct RuleReader(pub fn(&str) -> Result<EditedRules, String>);

impl Default for RuleReader {
    fn default() -> Self {
        Self(|_| Err("this server reads no rules".to_owned()))
    }
}

impl EditedRules {
    /// Puts them in the place of the rules in force.
    pub fn over(self, retention: &Retention) -> Retention {
        Retention {
            policies: self.policies,
            keep_untagged: self.keep_untagged.unwrap_or(retention.keep_untagged),
            ..retention.clone()
        }
    }
}

impl Retention {
    /// Writes the policies, or those that apply to one repository, as the configuration has them.
    pub fn written(&self, repository: Option<&str>) -> String {
        let applying = repository.map(|name| self.policy(name));
        let chosen = |policy: &&Policy| match applying {
            None => true,
            Some(applying) => applying == Some(*policy),
        };
        let mut text = "policies:\n".to_owned();
        for policy in self.policies.iter().filter(chosen) {
            written(&mut text, policy);
        }
        text
    }
}

fn written(text: &mut String, policy: &Policy) {
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    line(format!("- repositories: {}", quoted(&policy.repositories)));
    if let Some(time) = policy.keep_untagged {
        line(format!("  keepuntagged: {time}"));
    }
    if !policy.immutable.is_empty() {
        line(format!("  immutable: {}", list(&policy.immutable)));
    }
    if policy.expire_immutable {
        line("  expireimmutable: true".to_owned());
    }
    if !policy.tags.is_empty() {
        line("  tags:".to_owned());
    }
    for rule in &policy.tags {
        let TagRule {
            tags,
            always,
            newest,
            younger,
            pulled,
        } = rule;
        line(format!("  - match: {}", list(tags)));
        if *always {
            line("    always: true".to_owned());
        }
        if let Some(number) = newest {
            line(format!("    newest: {number}"));
        }
        for (key, time) in [("younger", younger), ("pulled", pulled)] {
            if let Some(time) = time {
                line(format!("    {key}: {}", format_duration(*time)));
            }
        }
    }
}

fn list(globs: &[Glob]) -> String {
    let globs: Vec<_> = globs.iter().map(quoted).collect();
    format!("[{}]", globs.join(", "))
}

/// Writes a glob in quotes, which YAML reads as it is.
fn quoted(glob: &Glob) -> String {
    format!("'{}'", glob.as_str().replace('\'', "''"))
}
