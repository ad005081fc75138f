//! Access log in Apache's Combined Log Format, as distribution writes it to standard output. A slow reader delays no
//! request ([`crate::threads::background_writer`]).

use std::fmt::{self, Write as _};
use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use http::header::{HeaderName, REFERER, USER_AGENT};
use http::{HeaderMap, Method, StatusCode, Uri, Version};

use crate::threads::background_writer::BackgroundWriter;

/// Path to which an issuer sends browsers back.
const RETURN_FROM_ISSUER: &str = "/ui/login/return";
/// Maximum length of each text from a request (target, referrer, user agent), in bytes. They are held until the
/// response ends.
const MAX_TEXT: usize = 1024;
/// Time for which lines are collected before they are written.
const GATHERING: Duration = Duration::from_millis(10);

/// Access log; clones share it.
#[derive(Clone)]
pub struct AccessLog {
    is_enabled: Arc<AtomicBool>,
    writer: BackgroundWriter,
}

impl AccessLog {
    /// Starts the thread that writes to `out`. The log is disabled at first, and discards lines uncounted meanwhile.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(out: impl Write + Send + 'static) -> std::io::Result<Self> {
        Ok(Self {
            is_enabled: Arc::default(),
            writer: BackgroundWriter::start("access log", out, GATHERING)?,
        })
    }

    pub fn set_enabled(&self, is_enabled: bool) {
        self.is_enabled.store(is_enabled, Ordering::Relaxed);
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.is_enabled.load(Ordering::Relaxed)
    }

    /// Returns the number of lines that could not be written, or not in time.
    pub fn dropped(&self) -> u64 {
        self.writer.dropped()
    }

    /// Blocks until all lines so far are written, for at most `patience`.
    pub fn flush(&self, patience: Duration) {
        self.writer.flush(patience);
    }

    pub(crate) fn write(&self, line: String) {
        self.writer.write(line);
    }
}

/// Part of a line that is known when the request arrives.
pub(crate) struct Entry {
    client: Option<IpAddr>,
    user: Option<Truncated>,
    time: SystemTime,
    method: Truncated,
    target: Truncated,
    version: Version,
    referer: Truncated,
    agent: Truncated,
}

/// Truncated copy of text from a request: a header would keep the whole head in memory.
struct Truncated(Box<[u8]>);

impl Truncated {
    fn new(text: &[u8]) -> Self {
        Self(if text.len() > MAX_TEXT {
            [&text[..MAX_TEXT], b"..."].concat().into()
        } else {
            text.into()
        })
    }
}

impl Entry {
    pub(crate) fn new(
        client: Option<IpAddr>,
        method: &Method,
        uri: &Uri,
        version: Version,
        headers: &HeaderMap,
    ) -> Self {
        // the code of an issuer is in the query of this page
        let target = match uri.path_and_query() {
            Some(target) if !uri.path().ends_with(RETURN_FROM_ISSUER) => target.as_str(),
            _ => uri.path(),
        };
        let header = |name: HeaderName| {
            Truncated::new(headers.get(name).map_or(b"-", |value| value.as_bytes()))
        };
        Self {
            client,
            user: None,
            time: SystemTime::now(),
            method: Truncated::new(method.as_str().as_bytes()),
            target: Truncated::new(target.as_bytes()),
            version,
            referer: header(REFERER),
            agent: header(USER_AGENT),
        }
    }

    pub(crate) fn set_user(&mut self, user: &str) {
        self.user = Some(Truncated::new(user.as_bytes()));
    }

    /// Formats the line of a request with its status and the bytes of body sent.
    pub(crate) fn line(&self, status: StatusCode, sent: u64) -> String {
        let Self {
            user,
            method,
            target,
            version,
            referer,
            agent,
            ..
        } = self;
        let mut line =
            String::with_capacity(120 + target.0.len() + referer.0.len() + agent.0.len());
        let user = user
            .as_ref()
            .map(|user| &*user.0)
            .filter(|user| !user.is_empty())
            .unwrap_or(b"-");
        let status = status.as_u16();
        // writing to a String cannot fail
        let _ = match self.client {
            Some(address) => write!(line, "{address}"),
            None => write!(line, "-"),
        };
        let _ = write!(
            line,
            " - {} [{}] \"{} {} {version:?}\"",
            Unquoted(user),
            Moment(self.time),
            Quoted(&method.0),
            Quoted(&target.0)
        );
        let _ = writeln!(
            line,
            " {status} {sent} \"{}\" \"{}\"",
            Quoted(&referer.0),
            Quoted(&agent.0)
        );
        line
    }
}

/// Quoted text, escaped as in Apache: always one field of one line.
struct Quoted<'t>(&'t [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(f, self.0, |byte| byte == b' ')
    }
}

/// Escaped text without quotes: spaces are escaped as well.
struct Unquoted<'t>(&'t [u8]);

impl fmt::Display for Unquoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(f, self.0, |_| false)
    }
}

fn escape(f: &mut fmt::Formatter<'_>, text: &[u8], is_plain: impl Fn(u8) -> bool) -> fmt::Result {
    let is_plain =
        |byte: u8| (byte.is_ascii_graphic() || is_plain(byte)) && byte != b'"' && byte != b'\\';
    let mut rest = text;
    while !rest.is_empty() {
        let (plain, others) = rest.split_at(
            rest.iter()
                .position(|byte| !is_plain(*byte))
                .unwrap_or(rest.len()),
        );
        // ASCII, so valid UTF-8
        f.write_str(std::str::from_utf8(plain).unwrap_or_default())?;
        let Some((byte, others)) = others.split_first() else {
            return Ok(());
        };
        match byte {
            b'"' | b'\\' => write!(f, "\\{}", char::from(*byte))?,
            byte => write!(f, "\\x{byte:02x}")?,
        }
        rest = others;
    }
    Ok(())
}

/// Time as `21/Nov/2026:17:30:05 +0000`.
struct Moment(SystemTime);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // years that jiff does not know are beyond any clock's
        let time = jiff::Timestamp::try_from(self.0).unwrap_or_default();
        write!(f, "{}", time.strftime("%d/%b/%Y:%H:%M:%S +0000"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;

    fn entry(target: &str, agent: &[u8]) -> Entry {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, http::HeaderValue::from_bytes(agent).unwrap());
        Entry::new(
            "192.0.2.7".parse().ok(),
            &Method::GET,
            &target.parse().unwrap(),
            Version::HTTP_11,
            &headers,
        )
    }

    #[test]
    fn a_line_has_apaches_format() {
        let mut entry = entry("/v2/a/tags/list?n=1", b"curl/8 \"x\"\xff");
        entry.time = UNIX_EPOCH + Duration::from_secs(1_795_282_205);
        assert_eq!(
            entry.line(StatusCode::OK, 17),
            "192.0.2.7 - - [21/Nov/2026:17:30:05 +0000] \"GET /v2/a/tags/list?n=1 HTTP/1.1\" 200 17 \"-\" \"curl/8 \\\"x\\\"\\xff\"\n"
        );
        entry.set_user("two words\n\"");
        assert!(
            entry
                .line(StatusCode::OK, 0)
                .starts_with("192.0.2.7 - two\\x20words\\x0a\\\" [")
        );
    }

    #[test]
    fn long_texts_of_clients_are_truncated() {
        let target = format!("/v2/{}", "a".repeat(5000));
        let mut entry = entry(&target, &[0x80; 5000]);
        entry.set_user(&"u".repeat(5000));
        let line = entry.line(StatusCode::OK, 0);
        let cut = |letter: &str, count| format!("{}...", letter.repeat(count));
        for expected in [
            format!("\"GET /v2/{} HTTP/1.1\"", cut("a", MAX_TEXT - 4)),
            format!("\"{}\"", cut("\\x80", MAX_TEXT)),
            cut("u", MAX_TEXT),
        ] {
            assert!(line.contains(&expected), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_text_of_a_client_makes_a_second_line_or_ends_a_field(user in any::<String>(), agent in proptest::collection::vec(32_u8..=255, 0..40)) {
            prop_assume!(!agent.contains(&127));
            let mut entry = entry("/v2/", &agent);
            entry.set_user(&user);
            let line = entry.line(StatusCode::OK, 0);
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert!(line.is_ascii());
            let unescaped = line.replace("\\\\", "").replace("\\\"", "");
            prop_assert_eq!(unescaped.matches('"').count(), 6, "{}", line);
        }
    }
}
