//! Rules to try: a box to edit them in, what becomes of every tag, and what comes back. Nothing is changed.

use askama::Template;

use crate::escape;
use crate::oci::RepositoryName;
use crate::registry::{Error, ListQuery, Millis, Registry, Retention, now};
use crate::report::{
    self, Decided, PreviewQuery, RuleEffectItem, Time, Trial, TrialList, TriedTag,
};
use crate::ui::page::Page;
use crate::ui::parts::{Bar, Count, ImageName, Promise, Size, Text};
use crate::ui::query::Query;
use crate::ui::repository_head::{Head, Tab};
use crate::ui::shell::{Section, Shell, Twin};
use crate::ui::site::Reader;

/// Maximum number of tags that are shown.
const TAGS: usize = 200;
const DAY: Millis = 24 * 3_600_000;
/// Times from now on that are offered, in days.
const OFFERED: [i64; 3] = [7, 30, 90];

/// Rules that a page is about.
#[derive(Clone, Debug)]
pub struct PolicyPage<'p> {
    /// Repository whose rules are shown; all without it.
    pub name: Option<&'p RepositoryName>,
    /// Rules that somebody wrote, with what they mean or the mistakes in them.
    pub edited: Option<(String, Result<Retention, String>)>,
    /// Day as at which is decided, `2026-12-04`, with its time; now without it.
    pub at: Option<(String, Millis)>,
    pub list: Option<TrialList>,
    /// True if the reader may try other rules.
    pub may_edit: bool,
}

#[derive(Template)]
#[template(path = "policies.html")]
struct PoliciesPage {
    shell: Shell,
    head: Option<Head>,
    /// Path below `/ui/` of this page.
    path: String,
    /// Rules in the box; `None` where the reader may not see them.
    text: Option<String>,
    may_edit: bool,
    is_edited: bool,
    mistakes: Vec<Text>,
    day: Option<String>,
    days: Vec<(String, String)>,
    effects: Vec<Effect>,
    /// Tags about which no rule decides.
    undecided: u64,
    trial: Trial,
    list: TrialList,
    frees: Option<u64>,
    frees_in_force: Option<u64>,
    has_grace: bool,
}

/// Effect of a rule, in words.
struct Effect {
    item: RuleEffectItem,
    conditions: String,
    largest: u64,
}

impl Effect {
    fn kept(&self) -> u64 {
        self.item.tag_count.saturating_sub(self.item.removed_count)
    }

    fn bar(&self) -> Bar {
        Bar {
            part: self.item.frees.map_or(0, |frees| frees.size),
            whole: self.largest,
            class: "waiting",
        }
    }
}

impl PoliciesPage {
    fn lists(&self) -> Vec<(&'static str, &'static str, u64, bool)> {
        let list = |list, value, name, number| (value, name, number, self.list == list);
        let mut lists = vec![
            list(TrialList::Removed, "removed", "Expire", self.trial.removed),
            list(TrialList::Kept, "kept", "Stay", self.trial.kept),
        ];
        if self.is_edited {
            let changed = ("changed", "Changed by the edit", self.trial.changed);
            lists.insert(0, list(TrialList::Changed, changed.0, changed.1, changed.2));
        }
        lists
    }

    fn listed(&self) -> u64 {
        match self.list {
            TrialList::Changed => self.trial.changed,
            TrialList::Removed => self.trial.removed,
            TrialList::Kept => self.trial.kept,
        }
    }

    fn link(&self, day: Option<&str>, list: Option<&str>) -> String {
        let query = Query::default().with("at", day).with("show", list);
        format!("{}{}{query}", self.shell.root(), self.path)
    }

    fn image<'t>(&self, tag: &'t TriedTag) -> ImageName<'t> {
        ImageName {
            repository: &tag.tried.repository,
            tag: &tag.tried.tag,
        }
    }

    fn tried_bar(&self) -> Bar {
        self.versus(self.frees, "waiting")
    }

    fn former_bar(&self) -> Bar {
        self.versus(self.frees_in_force, "former")
    }

    /// Bar of what comes back, of the larger of the two.
    fn versus(&self, part: Option<u64>, class: &'static str) -> Bar {
        Bar {
            part: part.unwrap_or_default(),
            whole: self.frees.max(self.frees_in_force).unwrap_or_default(),
            class,
        }
    }
}

/// Makes the page of rules.
///
/// # Errors
/// [`Error::NameUnknown`], and those of the database.
pub async fn policies(
    registry: &Registry,
    reader: &Reader,
    asked: PolicyPage<'_>,
) -> Result<Page, Error> {
    let settings = registry.settings();
    let in_force = &settings.retention;
    let head = match asked.name {
        Some(name) => Some(Head::of(registry, reader, name, Tab::Policy).await?),
        None => None,
    };
    let at = asked.at.as_ref().map_or_else(now, |(_, at)| *at);
    let repositories = match asked.name {
        Some(name) => vec![name.clone()],
        None => {
            let query = ListQuery {
                shown: reader.viewer.shown.clone(),
                ..ListQuery::default()
            };
            registry.repositories().names(query).await?
        }
    };
    let query = PreviewQuery {
        repositories,
        tags: None,
        which: Decided::All,
        at,
    };
    let (written, tried, mistakes) = match &asked.edited {
        Some((text, Ok(rules))) => (Some(text.clone()), rules, None),
        Some((text, Err(mistakes))) => (Some(text.clone()), in_force, Some(mistakes)),
        None => (None, in_force, None),
    };
    let is_edited = written.is_some() && mistakes.is_none();
    let list = asked
        .list
        .filter(|list| is_edited || *list != TrialList::Changed);
    let list = list.unwrap_or(match is_edited {
        true => TrialList::Changed,
        false => TrialList::Removed,
    });
    let effects = report::rule_effects(registry, tried, &query, &reader.viewer).await?;
    let frees_in_force = match is_edited {
        true => freed(&report::rule_effects(registry, in_force, &query, &reader.viewer).await?),
        false => None,
    };
    let trial = report::trial(registry, tried, &query, list, TAGS).await?;
    let decided: u64 = effects.iter().map(|effect| effect.tag_count).sum();
    let day = asked.at.as_ref().map(|(day, _)| day.clone());
    let own = || in_force.written(asked.name.map(RepositoryName::as_str));
    Page::of(&PoliciesPage {
        shell: shell(reader, &asked, is_edited),
        head,
        path: path(asked.name),
        text: written.or_else(|| (asked.may_edit || asked.name.is_some()).then(own)),
        may_edit: asked.may_edit,
        is_edited,
        mistakes: mistakes.map_or_else(Vec::new, |all| all.lines().map(Text::of).collect()),
        days: days(day.as_deref()),
        day,
        undecided: (trial.kept + trial.removed).saturating_sub(decided),
        frees: freed(&effects),
        effects: in_words(effects, tried),
        trial,
        list,
        frees_in_force,
        has_grace: !in_force.grace.is_zero(),
    })
}

fn path(name: Option<&RepositoryName>) -> String {
    match name {
        Some(name) => format!("policies/{name}"),
        None => "policies".to_owned(),
    }
}

fn shell(reader: &Reader, asked: &PolicyPage<'_>, is_edited: bool) -> Shell {
    let mut command = "registry policy preview".to_owned();
    if let Some(name) = asked.name {
        command += &format!(" {name}");
    }
    if is_edited {
        command += " --rules edited.yml";
    }
    if let Some((day, _)) = &asked.at {
        command += &format!(" --at {}", escape::shell(day));
    }
    let at = asked.at.as_ref().map(|(_, at)| Time(*at).to_string());
    let query = Query::default().with("at", at.as_deref());
    let twin = Twin {
        command: format!("{command} --server {}", reader.site.url),
        api: format!("{}{query}", path(asked.name)),
    };
    let (section, title) = match asked.name {
        Some(name) => (Section::Repositories, format!("Policy of {name}")),
        None => (Section::Policy, "Policy preview".to_owned()),
    };
    Shell::new(reader, section, title, twin)
}

/// Returns the days that are offered, each with its words; the chosen one is among them.
fn days(chosen: Option<&str>) -> Vec<(String, String)> {
    let day = |days: i64| {
        let at = now() / DAY * DAY + days * DAY;
        Time(at).to_string().chars().take(10).collect::<String>()
    };
    let offered = OFFERED.iter().map(|days| (day(*days), format!("{days} d")));
    let mut all: Vec<_> = offered.collect();
    if let Some(chosen) = chosen.filter(|chosen| !all.iter().any(|(day, _)| day == chosen)) {
        all.push((chosen.to_owned(), chosen.to_owned()));
    }
    all
}

fn freed(effects: &[RuleEffectItem]) -> Option<u64> {
    let sizes = effects.iter().map(|effect| Some(effect.frees?.size));
    sizes.sum()
}

/// Adds the conditions of its rule to each effect.
fn in_words(effects: Vec<RuleEffectItem>, rules: &Retention) -> Vec<Effect> {
    let sizes = effects.iter().filter_map(|effect| effect.frees);
    let largest = sizes.map(|frees| frees.size).max().unwrap_or_default();
    let words = |item: RuleEffectItem| {
        let mut policies = rules.policies.iter();
        let policy = policies.find(|policy| policy.repositories.as_str() == item.policy);
        let mut rules = policy.into_iter().flat_map(|policy| &policy.tags);
        let rule = rules.find(|rule| rule.name() == item.rule);
        Effect {
            conditions: rule.map_or_else(String::new, |rule| rule.conditions()),
            item,
            largest,
        }
    };
    effects.into_iter().map(words).collect()
}
