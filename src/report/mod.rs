//! Reports as JSON: what the command line prints with `--output json` and what `/api/v1` answers, made in one place.
//!
//! `docs/json.md` describes every object. Each is made for a [`Viewer`], who is told of nothing that access rules hide.

mod adoptions;
mod audit;
mod collection;
mod contents;
mod damage;
mod deletion;
mod growth;
mod history;
mod image;
mod policies;
mod promotions;
mod quotas;
mod repositories;
mod restoring;
mod selection;
mod syncs;
mod tag_facts;
mod tags;
mod token_changes;
mod tokens;
mod trash;
mod trial;
mod untagged;
mod upstreams;
mod usage;
mod values;
mod viewer;
mod webhooks;
mod why;

pub use adoptions::{AdoptionProgress, ProblemItem};
pub use audit::{AuditItem, AuditQuery, AuditWords, audit};
pub use collection::{CollectionReport, collection};
pub use contents::{ChartItem, ContentItem, FileItem, PackageItem, ProvenanceItem, content};
pub use damage::{DamageItem, damage};
pub use deletion::{
    DeletionItem, DeletionReport, DependentItem, Outcome, RemovedItem, Undo, UndoItem,
    foresee_deletion, undo_until,
};
pub use growth::{
    DayItem, GROWTH_DAYS, GrowthItem, MOST_GROWTH_DAYS, RepositoryGrowthItem, growth,
};
pub use history::{StateEnd, StateItem, history, stored};
pub use image::{
    ChildItem, ImageItem, ImageReport, ReferrerItem, RunItem, SignatureItem, built, image,
};
pub use policies::{
    Decided, DecisionItem, DecisionPlace, FreedBlobs, PreviewItem, PreviewQuery, RuleEffectItem,
    RulesItem, preview, rule_effects,
};
pub use promotions::{KeepError, KeptItem, PromotedItem, keep, promote};
pub use quotas::{QuotaItem, quotas};
pub use repositories::{OverviewItem, RepositoryItem, overview, repositories};
pub use restoring::{
    RemovalItem, RestoredItem, removal_items, restore, restore_all, restore_everything,
    restore_manifest, restore_tag, restored_json,
};
pub use selection::{SelectedItem, Selection, selected_tags};
pub use syncs::{SyncItem, SyncProblem};
pub use tag_facts::{TagFactsItem, tag_facts};
pub use tags::{TagItem, tags};
pub use token_changes::{
    MadeSecret, OVERLAP, RotatedSecret, TokenChangeError, TokenWords, create_token, revoke_token,
    rotate_token,
};
pub use tokens::{SecretItem, TokenItem, Tokens, tokens};
pub use trash::{RestorableItem, trash, trash_of};
pub use trial::{Trial, TrialList, TriedTag, trial};
pub use untagged::{UntaggedItem, untagged};
pub use upstreams::{UpstreamItem, upstreams};
pub use usage::{
    DiskItem, StoreItem, StoreReport, TagUsageItem, UsageItem, disk, store, tag_usage, usage,
};
pub use values::{Time, Who};
pub use viewer::{People, Viewer};
pub use webhooks::{DeliveryItem, WebhookItem, deliveries, webhooks};
pub use why::{ChainItem, EndItem, HoldItem, WhyItem, WhyReport, why};
