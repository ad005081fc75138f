//! Headers that the owner adds to every response.

use std::sync::Arc;

use http::HeaderMap;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

/// Headers that are added to every response, except those that it has already.
#[derive(Clone, Debug, Default)]
pub struct ExtraHeaders(Arc<[(HeaderName, HeaderValue)]>);

impl PartialEq for ExtraHeaders {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for ExtraHeaders {}

impl ExtraHeaders {
    /// Parses the owner's headers.
    ///
    /// # Errors
    /// Invalid names and values, and headers that only the server may set, in a sentence.
    pub fn parse<'h>(
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    ) -> Result<Self, String> {
        // setting these would break the connection's framing
        const RESERVED: [HeaderName; 6] = [
            CONNECTION,
            CONTENT_LENGTH,
            TE,
            TRAILER,
            TRANSFER_ENCODING,
            UPGRADE,
        ];
        let read = |(name, value): (&str, &str)| {
            let parsed: HeaderName = name
                .parse()
                .map_err(|_| format!("'{name}' is not the name of a header"))?;
            if RESERVED.contains(&parsed) {
                return Err(format!("the header {name} is set by the server itself"));
            }
            let value: HeaderValue = value
                .parse()
                .map_err(|_| format!("the value of the header {name} contains invalid bytes"))?;
            Ok((parsed, value))
        };
        headers
            .into_iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(crate) fn add_to(&self, headers: &mut HeaderMap) {
        let mut before: Option<&HeaderName> = None;
        for (name, value) in self.0.iter() {
            // several headers of one name are adjacent
            if before == Some(name) || !headers.contains_key(name) {
                headers.append(name, value.clone());
                before = Some(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_headers_do_not_replace_those_of_the_response() {
        let extra =
            ExtraHeaders::parse([("X-A", "1"), ("X-A", "2"), ("ETag", "\"mine\"")]).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("etag", HeaderValue::from_static("\"its\""));
        extra.add_to(&mut headers);
        assert_eq!(
            headers.get_all("x-a").iter().collect::<Vec<_>>(),
            ["1", "2"]
        );
        assert_eq!(
            headers.get_all("etag").iter().collect::<Vec<_>>(),
            ["\"its\""]
        );
    }

    #[test]
    fn malformed_and_reserved_headers_are_rejected_by_name() {
        for (name, value) in [
            ("X Y", "1"),
            ("", "1"),
            ("X", "a\nb"),
            ("content-length", "1"),
            ("Transfer-Encoding", "chunked"),
        ] {
            assert!(
                ExtraHeaders::parse([(name, value)])
                    .unwrap_err()
                    .contains(name)
            );
        }
    }
}
