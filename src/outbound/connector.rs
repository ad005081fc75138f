//! Connections to other servers, directly or through a proxy.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
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

use super::addresses::{Reach, Server, bare, check};

/// Time that an address has before the next one is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Maker of connections for a client.
#[derive(Clone)]
pub(super) struct Connector {
    route: Arc<Route>,
    reach: Reach,
}

/// Settings of connections to servers.
struct Route {
    proxies: Matcher,
    timeout: Duration,
    /// Servers that may have any address.
    exempt: Vec<Server>,
}

type Connecting<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl Connector {
    pub fn new(proxies: Matcher, timeout: Duration, exempt: Vec<Server>) -> Self {
        let route = Route {
            proxies,
            timeout,
            exempt,
        };
        Self {
            route: Arc::new(route),
            reach: Reach::Any,
        }
    }

    /// Returns the same connector for other addresses.
    pub fn reaching(&self, reach: Reach) -> Self {
        Self {
            route: Arc::clone(&self.route),
            reach,
        }
    }

    /// Returns the login for the proxy that a request without encryption goes to.
    pub fn proxy_login(&self, target: &Uri) -> Option<HeaderValue> {
        self.route.proxies.intercept(target)?.basic_auth().cloned()
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
        let (route, reach) = (Arc::clone(&self.route), self.reach);
        Box::pin(async move {
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, "it takes too long");
            let connecting = timeout(route.timeout, connect(&route, target, reach));
            connecting.await.map_err(late)?
        })
    }
}

async fn connect(route: &Arc<Route>, target: Uri, reach: Reach) -> io::Result<Stream> {
    let Some(proxy) = route.proxies.intercept(&target) else {
        let io = dial(&target, reach, &route.exempt).await?;
        let leads = io.inner().peer_addr();
        return Ok(Stream {
            leads: leads.map_or(Reach::Public, |address| Reach::from(address.ip())),
            io,
            is_proxied: false,
        });
    };
    if !is_usable_proxy(&proxy.uri().to_string()) {
        return Err(refused("a proxy is a URL that begins with http://"));
    }
    let host = target.host().unwrap_or_default();
    // which address a name has, the proxy alone knows
    let address = bare(host).parse().ok();
    if let Some(address) = address {
        let address = SocketAddr::new(address, port(&target));
        check(address, host, reach, &route.exempt)?;
    }
    let leads = address.map_or(Reach::Public, Reach::from);
    if target.scheme() != Some(&Scheme::HTTPS) {
        let io = dial(proxy.uri(), Reach::Any, &[]).await?;
        return Ok(Stream {
            io,
            is_proxied: true,
            leads,
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
        leads,
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
        Box::pin(async move { dial(&proxy, Reach::Any, &[]).await })
    }
}

/// Connects to the first address that answers.
///
/// An address that says nothing does not keep the others waiting (RFC 8305): each gets a head start only.
async fn dial(target: &Uri, reach: Reach, exempt: &[Server]) -> io::Result<TokioIo<TcpStream>> {
    let host = target
        .host()
        .ok_or_else(|| refused("the URL has no host"))?;
    let addresses = lookup_host((bare(host), port(target))).await?.collect();
    let racing = race(in_turns(addresses), |address| async move {
        // the address that is connected to, so that a name that changes its address is no way around
        check(address, host, reach, exempt)?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    });
    Ok(TokioIo::new(racing.await?))
}

fn port(target: &Uri) -> u16 {
    let is_encrypted = target.scheme() == Some(&Scheme::HTTPS);
    let standard = if is_encrypted { 443 } else { 80 };
    target.port_u16().unwrap_or(standard)
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
    /// Addresses to which its answers may lead.
    leads: Reach,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = self.io.connected().proxy(self.is_proxied);
        connected.extra(self.leads)
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
