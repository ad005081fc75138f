//! Connections to other servers, directly or through a proxy.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use http::uri::Scheme;
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep, timeout};
use tower_service::Service;

/// Time that an address has before the next one is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Maker of connections for a client.
#[derive(Clone)]
pub(super) struct Connector(Arc<Route>);

/// Settings of connections to servers.
struct Route {
    proxies: Matcher,
    timeout: Duration,
    /// Hosts that may have link-local addresses.
    link_local: Vec<String>,
}

type Connecting<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl Connector {
    pub fn new(proxies: Matcher, timeout: Duration, link_local: Vec<String>) -> Self {
        Self(Arc::new(Route {
            proxies,
            timeout,
            link_local,
        }))
    }

    /// Returns the login for the proxy that a request without encryption goes to.
    pub fn proxy_login(&self, target: &Uri) -> Option<HeaderValue> {
        self.0.proxies.intercept(target)?.basic_auth().cloned()
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = io::Error;
    type Future = Connecting<Stream>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let route = Arc::clone(&self.0);
        Box::pin(async move {
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, "it takes too long");
            let connecting = timeout(route.timeout, connect(&route, target));
            connecting.await.map_err(late)?
        })
    }
}

async fn connect(route: &Arc<Route>, target: Uri) -> io::Result<Stream> {
    let Some(proxy) = route.proxies.intercept(&target) else {
        let io = dial(&target, &route.link_local).await?;
        return Ok(Stream {
            io,
            is_proxied: false,
        });
    };
    if !is_usable_proxy(&proxy.uri().to_string()) {
        return Err(refused("a proxy is a URL that begins with http://"));
    }
    let host = target.host().unwrap_or_default();
    if let Ok(address) = bare(host).parse() {
        check_address(address, host, &route.link_local)?;
    }
    if target.scheme() != Some(&Scheme::HTTPS) {
        let io = dial(proxy.uri(), &[]).await?;
        return Ok(Stream {
            io,
            is_proxied: true,
        });
    }
    let mut tunnel = Tunnel::new(proxy.uri().clone(), ProxyDialer);
    if let Some(login) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(login.clone());
    }
    let tunnelled = tunnel.call(target).await;
    let io = tunnelled.map_err(|error| io::Error::other(format!("the proxy: {error}")))?;
    Ok(Stream {
        io,
        is_proxied: false,
    })
}

/// Connector to a proxy, whose address the owner chose.
#[derive(Clone)]
struct ProxyDialer;

impl Service<Uri> for ProxyDialer {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Connecting<TokioIo<TcpStream>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, proxy: Uri) -> Self::Future {
        Box::pin(async move { dial(&proxy, &[]).await })
    }
}

/// Connects to the first address that answers.
///
/// An address that says nothing does not keep the others waiting (RFC 8305): each gets a head start only.
async fn dial(target: &Uri, link_local: &[String]) -> io::Result<TokioIo<TcpStream>> {
    let host = target
        .host()
        .ok_or_else(|| refused("the URL has no host"))?;
    let is_encrypted = target.scheme() == Some(&Scheme::HTTPS);
    let port = target
        .port_u16()
        .unwrap_or(if is_encrypted { 443 } else { 80 });
    let addresses = lookup_host((bare(host), port)).await?.collect();
    let stream = race(in_turns(addresses), |address| {
        reach(address, host, link_local)
    })
    .await?;
    Ok(TokioIo::new(stream))
}

/// Sorts addresses so that both families take turns, the first one's first.
fn in_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_first_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == is_first_v6);
    let longer = first.len().max(second.len());
    let turn = |number| [first.get(number), second.get(number)];
    (0..longer).flat_map(turn).flatten().copied().collect()
}

/// Tries addresses, the next one once the last has failed or had its head start; returns the first success.
async fn race<T, F>(addresses: Vec<SocketAddr>, reach: impl Fn(SocketAddr) -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut rest = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failure = refused("the name has no address");
    attempts.extend(rest.next().map(&reach));
    while !attempts.is_empty() {
        let waits = rest.len() > 0;
        let ended = tokio::select! {
            ended = attempts.next() => ended,
            () = sleep(HEAD_START), if waits => None,
        };
        match ended {
            Some(Ok(reached)) => return Ok(reached),
            Some(Err(error)) => failure = error,
            None => {}
        }
        attempts.extend(rest.next().map(&reach));
    }
    Err(failure)
}

async fn reach(address: SocketAddr, host: &str, link_local: &[String]) -> io::Result<TcpStream> {
    check_address(address.ip(), host, link_local)?;
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn check_address(address: IpAddr, host: &str, link_local: &[String]) -> io::Result<()> {
    if is_link_local(address) && !link_local.iter().any(|named| named == host) {
        return Err(refused("a link-local address is not connected to"));
    }
    Ok(())
}

fn is_link_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Removes the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn refused(sentence: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, sentence)
}

/// Reports whether a proxy's URL is one that connections can go through.
pub(super) fn is_usable_proxy(url: &str) -> bool {
    let parsed = url.parse::<Uri>();
    parsed.is_ok_and(|url| url.scheme() == Some(&Scheme::HTTP) && url.host().is_some())
}

/// A connection, which knows whether requests go to a proxy.
pub(super) struct Stream {
    io: TokioIo<TcpStream>,
    /// True if requests must name the whole URL.
    is_proxied: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.is_proxied)
    }
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_services_are_reached_only_by_their_names() {
        let check = |address: &str, named: &[&str]| {
            let named: Vec<_> = named.iter().map(|&name| name.to_owned()).collect();
            check_address(address.parse().unwrap(), "meta", &named).is_ok()
        };
        for address in ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254"] {
            assert!(!check(address, &["other"]), "{address}");
            assert!(check(address, &["meta"]), "{address}");
        }
        assert!(check("127.0.0.1", &[]) && check("10.0.0.1", &[]) && check("::1", &[]));
    }

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter()
            .map(|address| address.parse().unwrap())
            .collect()
    }

    #[test]
    fn families_take_turns() {
        let given = ["[::1]:1", "[::1]:2", "[::1]:3", "1.1.1.1:1", "1.1.1.1:2"];
        let turns = ["[::1]:1", "1.1.1.1:1", "[::1]:2", "1.1.1.1:2", "[::1]:3"];
        assert_eq!(in_turns(addresses(&given)), addresses(&turns));
        assert_eq!(in_turns(Vec::new()), []);
    }

    /// Addresses with port 1 say nothing, those with port 2 refuse, and others answer.
    async fn reach_fake(address: SocketAddr) -> io::Result<u16> {
        match address.port() {
            1 => std::future::pending().await,
            2 => Err(io::ErrorKind::ConnectionRefused.into()),
            port => Ok(port),
        }
    }

    #[test]
    fn addresses_that_say_nothing_or_refuse_keep_nobody_waiting() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let reached = |list: &[&str]| {
            let racing =
                async { timeout(Duration::from_secs(20), race(addresses(list), reach_fake)).await };
            runtime.block_on(racing).unwrap()
        };
        let silent = "1.1.1.1:1";
        assert_eq!(reached(&[silent, silent, "1.1.1.1:7"]).unwrap(), 7);
        assert_eq!(reached(&["1.1.1.1:2", "1.1.1.1:8"]).unwrap(), 8);
        let refused = reached(&["1.1.1.1:2", "1.1.1.2:2"]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(reached(&[]).is_err());
    }

    #[test]
    fn proxies_have_plain_urls() {
        assert!(is_usable_proxy("http://proxy:3128") && is_usable_proxy("http://u:p@proxy"));
        for url in ["https://proxy", "socks5://proxy", "proxy", ""] {
            assert!(!is_usable_proxy(url), "{url}");
        }
    }
}
