//! Webhooks and upstreams.

use askama::Template;

use crate::registry::{DeliveryFilter, Error, Registry};
use crate::report::{self, DeliveryItem, UpstreamItem, WebhookItem};
use crate::ui::page::Page;
use crate::ui::parts::{Bar, Count, Moment, Short, Size, Text};
use crate::ui::shell::{Section, Shell, Twin};
use crate::ui::site::Reader;

/// Number of the newest deliveries.
const DELIVERIES: usize = 50;

#[derive(Template)]
#[template(path = "webhooks.html")]
struct WebhooksPage {
    shell: Shell,
    may_administer: bool,
    webhooks: Vec<WebhookItem>,
    deliveries: Vec<DeliveryItem>,
}

#[derive(Template)]
#[template(path = "upstreams.html")]
struct UpstreamsPage {
    shell: Shell,
    may_administer: bool,
    upstreams: Vec<UpstreamItem>,
}

impl UpstreamsPage {
    fn bar(&self, upstream: &UpstreamItem) -> Bar {
        let largest = self.upstreams.iter().map(|one| one.size).max();
        Bar {
            part: upstream.size,
            whole: largest.unwrap_or_default(),
            class: "",
        }
    }

    /// Share of answers that came from here, in per cent; `None` if nobody asked.
    fn hits(&self, upstream: &UpstreamItem) -> Option<u64> {
        let all = upstream.hit_count.saturating_add(upstream.miss_count);
        (upstream.hit_count.saturating_mul(100)).checked_div(all)
    }
}

fn twin(reader: &Reader, command: &str, api: &str) -> Twin {
    Twin {
        command: format!("registry {command} --server {}", reader.site.url),
        api: api.to_owned(),
    }
}

/// Makes the list of webhooks, with their newest deliveries.
///
/// # Errors
/// Those of the database.
pub async fn webhooks(registry: &Registry, reader: &Reader) -> Result<Page, Error> {
    let filter = DeliveryFilter::default();
    let deliveries = report::deliveries(registry, filter, None, DELIVERIES).await?;
    let twin = twin(reader, "webhook ls", "webhooks");
    Page::of(&WebhooksPage {
        shell: Shell::new(reader, Section::Webhooks, "Webhooks", twin),
        may_administer: reader.may_administer,
        webhooks: report::webhooks(registry).await?,
        deliveries: deliveries.items,
    })
}

/// Makes the list of upstreams.
///
/// # Errors
/// Those of the database.
pub async fn upstreams(registry: &Registry, reader: &Reader) -> Result<Page, Error> {
    let twin = twin(reader, "upstream ls", "upstreams");
    Page::of(&UpstreamsPage {
        shell: Shell::new(reader, Section::Upstreams, "Upstreams", twin),
        may_administer: reader.may_administer,
        upstreams: report::upstreams(registry).await?,
    })
}
