//! Queries of links.

use std::fmt;

use crate::registry::ListOrder;

/// Query of a link: `?sort=size`, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Query(String);

impl Query {
    /// Adds a parameter, if it has a value.
    #[must_use]
    pub fn with(mut self, key: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            let mut pairs = form_urlencoded::Serializer::new(self.0);
            pairs.append_pair(key, value);
            // names read better with the characters that a query may have as they are
            self.0 = pairs
                .finish()
                .replace("%2F", "/")
                .replace("%3A", ":")
                .replace("%40", "@");
        }
        self
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.is_empty() {
            true => Ok(()),
            false => write!(f, "?{}", self.0),
        }
    }
}

/// Name of an order in queries and commands.
pub fn sort_word(order: ListOrder) -> &'static str {
    match order {
        ListOrder::Name => "name",
        ListOrder::Size => "size",
        ListOrder::Pushed => "pushed",
        ListOrder::Pulled => "pulled",
    }
}
