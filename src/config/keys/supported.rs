//! The supported keys. A new key is a row in [`OURS`], or in [`DISTRIBUTION`] if distribution has it too.

use crate::config::keys::key::{Key, Kind, Status};
use Kind::{
    BaseUrl, Bytes, Fields, GoTime, HeaderSources, Headers, Keep, Lists, Page, SecretHeaders,
    Switch, Text, Texts, Time, TlsVersion, Url, Version, Word, Words,
};
use Reload::{Live, Restart};

/// A key: path, kind, default, when a change takes effect, meaning.
struct Row(&'static str, Kind, &'static str, Reload, &'static str);

/// Time at which a running server applies a change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reload {
    /// On reload.
    Live,
    /// At its next start.
    Restart,
}

const COUNT: Kind = Kind::Count(u64::MAX);
const SMALL: Kind = Kind::Count(u32::MAX as u64);
const LEVELS: Kind = Word(&["error", "warn", "info", "debug"]);
const CLIENT_AUTH: Kind = Word(&[
    "request-client-cert",
    "require-any-client-cert",
    "verify-client-cert-if-given",
    "require-and-verify-client-cert",
]);

/// Distribution's keys.
#[rustfmt::skip]
const DISTRIBUTION: &[Row] = &[
    Row("version", Version, "0.1", Restart, "Version of the file format"),
    Row("log.level", LEVELS, "info", Live, "Minimum severity of logged messages"),
    Row("log.formatter", Word(&["text", "json", "logstash"]), "text", Restart, "Format of log lines"),
    Row("log.fields", Fields, "", Restart, "Fields added to every log line"),
    Row("log.reportcaller", Switch, "false", Restart, "Add the source location to every log line"),
    Row("log.accesslog.disabled", Switch, "false", Live, "Turn off the access log, which goes to standard output in Combined Log Format"),
    Row("loglevel", LEVELS, "", Live, "Older name of log.level, which takes precedence"),
    Row("http.addr", Text, "127.0.0.1:5000", Restart, "Listen address: HOST:PORT, :PORT for all addresses, or a socket's path if net is unix"),
    Row("http.net", Word(&["tcp", "unix"]), "tcp", Restart, "Socket type"),
    Row("http.prefix", Text, "", Live, "Path prefix of all URLs, with a slash at both ends"),
    Row("http.host", BaseUrl, "(what the request says)", Live, "Public URL of the registry, for the URLs that it sends to clients"),
    Row("http.relativeurls", Switch, "(true unless http.host is given)", Live, "Send URLs without scheme and host; distribution's default is false"),
    Row("http.draintimeout", GoTime, "30s", Live, "Maximum wait for requests in flight when the server stops"),
    Row("http.headers", Headers, "", Live, "Headers added to every response"),
    Row("http.tls.certificate", Text, "", Live, "PEM file: the server's certificate, followed by its chain; read again when it changes"),
    Row("http.tls.key", Text, "", Live, "PEM file: the certificate's private key"),
    Row("http.tls.clientcas", Texts, "", Live, "PEM files: authorities that sign client certificates"),
    Row("http.tls.clientauth", CLIENT_AUTH, "(require-and-verify-client-cert)", Live, "Requirement for client certificates, if clientcas is set"),
    Row("http.tls.minimumtls", TlsVersion, "(tls1.2)", Live, "Minimum TLS version"),
    Row("http.tls.ciphersuites", Texts, "(all that rustls has)", Live, "Allowed cipher suites of TLS 1.2, by Go's names"),
    Row("http.tls.letsencrypt.cachefile", Text, "", Live, "Directory for the account and certificates; required with letsencrypt"),
    Row("http.tls.letsencrypt.email", Text, "", Live, "Contact address for the authority"),
    Row("http.tls.letsencrypt.hosts", Texts, "", Live, "Host names to certify; required with letsencrypt"),
    Row("http.tls.letsencrypt.directoryurl", Url, "(Let's Encrypt)", Live, "ACME directory of another authority"),
    Row("http.http2.disabled", Switch, "false", Live, "Turn off HTTP/2 over TLS"),
    Row("http.h2c.enabled", Switch, "false", Live, "Accept HTTP/2 without TLS"),
    Row("http.debug.addr", Text, "", Restart, "Listen address of the debug port, which serves health and metrics without login"),
    Row("http.debug.prometheus.enabled", Switch, "false", Restart, "Serve Prometheus metrics on the debug port"),
    Row("http.debug.prometheus.path", Text, "/metrics", Restart, "Path of the metrics"),
    Row("storage.filesystem.rootdirectory", Text, "(/var/lib/registry where it is writable, else ~/.local/share/registry)", Restart, "Data directory"),
    Row("storage.delete.enabled", Switch, "true", Live, "Allow clients to delete; distribution's default is false"),
    Row("storage.maintenance.readonly.enabled", Switch, "false", Live, "Reject all changes by clients"),
    Row("storage.maintenance.uploadpurging.enabled", Switch, "true", Live, "Expire abandoned uploads"),
    Row("storage.maintenance.uploadpurging.age", Time, "168h", Live, "Age at which an upload expires"),
    Row("storage.maintenance.uploadpurging.interval", Time, "1h", Live, "Interval between checks for expired uploads"),
    Row("storage.maintenance.uploadpurging.dryrun", Switch, "false", Live, "Only log what would expire"),
    Row("auth.none", Kind::Nothing, "", Live, "Allow everything without login, as if auth were not set"),
    Row("auth.silly.realm", Text, "", Live, "Realm sent to clients"),
    Row("auth.silly.service", Text, "", Live, "Service sent to clients"),
    Row("auth.htpasswd.realm", Text, "", Live, "Realm sent to clients"),
    Row("auth.htpasswd.path", Text, "", Live, "File of users and bcrypt hashes; read again when it changes"),
    Row("auth.token.realm", Url, "", Live, "URL of the token server"),
    Row("auth.token.service", Text, "", Live, "Name of this registry in tokens (audience)"),
    Row("auth.token.issuer", Text, "", Live, "Accepted issuer of tokens"),
    Row("auth.token.rootcertbundle", Text, "", Live, "PEM file: certificates whose keys sign tokens"),
    Row("auth.token.jwks", Text, "", Live, "JSON Web Key Set: keys that sign tokens"),
    Row("auth.token.signingalgorithms", Texts, "(all asymmetric ones)", Live, "Accepted signature algorithms"),
    Row("auth.token.autoredirect", Switch, "false", Live, "Put the host name of the client's request into the realm"),
    Row("auth.token.autoredirectpath", Text, "/auth/token", Live, "Path of that realm"),
    Row("health.storagedriver.enabled", Switch, "false", Restart, "Check that the data directory is usable"),
    Row("health.storagedriver.interval", GoTime, "10s", Restart, "Interval between checks"),
    Row("health.storagedriver.threshold", SMALL, "1", Restart, "Consecutive failures before the server is unhealthy"),
    Row("health.file[].file", Text, "", Restart, "The server is unhealthy while this file exists"),
    Row("health.file[].interval", GoTime, "10s", Restart, "Interval between checks"),
    Row("health.http[].uri", Url, "", Restart, "The server is unhealthy unless a HEAD request to this URL succeeds"),
    Row("health.http[].headers", SecretHeaders, "", Restart, "Headers of the request"),
    Row("health.http[].statuscode", Kind::Count(999), "200", Restart, "Expected status"),
    Row("health.http[].timeout", GoTime, "5s", Restart, "Timeout of the request"),
    Row("health.http[].interval", GoTime, "10s", Restart, "Interval between checks"),
    Row("health.http[].threshold", SMALL, "1", Restart, "Consecutive failures before the server is unhealthy"),
    Row("health.tcp[].addr", Text, "", Restart, "The server is unhealthy unless this address (HOST:PORT) accepts connections"),
    Row("health.tcp[].timeout", GoTime, "5s", Restart, "Timeout of the connection"),
    Row("health.tcp[].interval", GoTime, "10s", Restart, "Interval between checks"),
    Row("health.tcp[].threshold", SMALL, "1", Restart, "Consecutive failures before the server is unhealthy"),
    Row("proxy.remoteurl", Url, "", Restart, "Registry of which this whole one is a cache, which takes only pulls"),
    Row("proxy.username", Text, "", Restart, "User there"),
    Row("proxy.password", Kind::Secret, "", Restart, "The user's password or token"),
    Row("proxy.exec.command", Text, "", Restart, "Program that tells both instead, as docker-credential-ecr-login does"),
    Row("proxy.exec.lifetime", GoTime, "(until it is refused)", Restart, "Time for which its answer holds; 0s asks it every time"),
    Row("proxy.ttl", GoTime, "168h", Live, "Time after their last pull for which images are kept; 0 keeps them"),
    Row("validation.enabled", Switch, "", Live, "Override disabled; if true, also reject layers with URLs unless a rule below allows them"),
    Row("validation.disabled", Switch, "false", Live, "Turn off the rules below"),
    Row("validation.manifests.urls.allow", Texts, "", Live, "Regular expressions: each URL of a layer must match one of them"),
    Row("validation.manifests.urls.deny", Texts, "", Live, "Regular expressions: no URL of a layer may match any of them"),
    Row("validation.manifests.indexes.platforms", Word(&["all", "none", "list"]), "all", Live, "Images of an index that must be stored"),
    Row("validation.manifests.indexes.platformlist[].os", Text, "", Live, "Operating system of a required image, if platforms is list"),
    Row("validation.manifests.indexes.platformlist[].architecture", Text, "", Live, "Its architecture"),
    Row("policy.repository.classes", Words(&["image", "plugin"]), "(all)", Live, "Kinds of content that may be pushed"),
    Row("notifications.events.includereferences", Switch, "false", Live, "Tell of the references of manifests"),
    Row("notifications.endpoints[].name", Text, "", Live, "Name of an endpoint of events, in metrics and commands"),
    Row("notifications.endpoints[].disabled", Switch, "false", Live, "Leave it out"),
    Row("notifications.endpoints[].url", Kind::Secret, "", Live, "URL that events are posted to"),
    Row("notifications.endpoints[].headers", HeaderSources, "", Live, "Headers of each request; a value may be {file: PATH} or {variable: NAME}"),
    Row("notifications.endpoints[].timeout", GoTime, "1s", Live, "Timeout of a request"),
    Row("notifications.endpoints[].threshold", SMALL, "10", Live, "Number of failures after which pauses grow"),
    Row("notifications.endpoints[].backoff", GoTime, "1s", Live, "First pause before another attempt"),
    Row("notifications.endpoints[].ignoredmediatypes", Texts, "", Live, "Media types of which nothing is told"),
    Row("notifications.endpoints[].ignore.mediatypes", Texts, "", Live, "The same"),
    Row("notifications.endpoints[].ignore.actions", Texts, "", Live, "Actions of which nothing is told: pull, push, mount, delete"),
    Row("catalog.maxentries", Page, "10000", Live, "Maximum page size of the repository list"),
    Row("tags.maxtags", Page, "10000", Live, "Maximum page size of tag lists"),
];

/// Our keys, which distribution does not know.
#[rustfmt::skip]
const OURS: &[Row] = &[
    Row("http.tls.letsencrypt.directoryca", Text, "(those of the system)", Live, "PEM file: authority of the ACME server's own certificate"),
    Row("http.trustedproxies", Texts, "(none)", Live, "Proxies, as addresses and networks, whose Forwarded and X-Forwarded headers are trusted"),
    Row("http.limits.connections", COUNT, "4096", Restart, "Maximum number of connections; further ones wait"),
    Row("http.limits.connectionsperaddress", COUNT, "1024", Live, "Maximum number of connections from one address; further ones are closed"),
    Row("http.limits.handshake", Time, "10s", Live, "Timeout of a TLS handshake"),
    Row("http.limits.header", Time, "60s", Live, "Timeout for the headers of a request"),
    Row("http.limits.keepalive", Time, "90s", Live, "Timeout for a connection without a request; above that of load balancers"),
    Row("http.limits.idle", Time, "120s", Live, "Timeout for a request or response body without progress"),
    Row("http.limits.pulls", SMALL, "(any number)", Live, "Maximum number of images that one user, token or address pulls in the period; further ones get 429"),
    Row("http.limits.pushes", SMALL, "(any number)", Live, "Maximum number of images that one user, token or address pushes in the period"),
    Row("http.limits.period", Time, "1h", Live, "Period of pulls and pushes; a client that used up its number gets it back little by little"),
    Row("auth.challenge", Word(&["auto", "basic", "bearer"]), "auto", Live, "Challenge of clients without a login: basic, bearer (tokens of /v2/_token), or bearer if there are tokens, trusted issuers or rules for anonymous clients"),
    Row("auth.htpasswd.cache", Time, "5m", Live, "Maximum time for which a correct password is remembered, which saves hashing"),
    Row("access.groups", Lists, "", Live, "Users of each group"),
    Row("access.rules[].repositories", Texts, "", Live, "Globs of repositories; the components {user} and {claim.NAME} stand for names of the client"),
    Row("access.rules[].who", Texts, "", Live, "Clients: anonymous (everybody), users (every user who logged in), @GROUP, token:NAME, trust:NAME, or users' names"),
    Row("access.rules[].may", Texts, "", Live, "Actions (pull, create, update, delete) and roles (pull, push, maintain, admin)"),
    Row("access.rules[].from", Texts, "(anywhere)", Live, "Addresses and networks of the clients"),
    Row("trust[].name", Text, "", Live, "Name of the logins in access rules: trust:NAME"),
    Row("trust[].issuer", Url, "", Live, "URL of an OpenID Connect issuer whose tokens are logins, as they have it"),
    Row("trust[].audience", Text, "", Live, "Name of this registry in its tokens (audience)"),
    Row("trust[].ca", Text, "(those of the system)", Live, "PEM file: authorities of the issuer's certificate"),
    Row("trust[].bearer", Text, "", Live, "File with a token that the issuer asks for before it shows its keys"),
    Row("trust[].require", Lists, "", Live, "Globs of the claims that a token must have"),
    Row("upstreams[].prefix", Text, "", Restart, "Name below which the repositories of another registry appear: hub/library/redis"),
    Row("upstreams[].url", Url, "", Restart, "URL of that registry"),
    Row("upstreams[].ns", Text, "", Restart, "Its host, as containerd names it by ?ns=; docker.io has Docker Hub's ways"),
    Row("upstreams[].listen", Text, "", Restart, "Listen address that leads to it alone, as Docker's registry-mirrors need"),
    Row("upstreams[].username", Text, "", Restart, "User there"),
    Row("upstreams[].password", Kind::Secret, "", Restart, "The user's password or token"),
    Row("upstreams[].passwordfile", Text, "", Restart, "File with the password instead; read for each login"),
    Row("upstreams[].realms", Texts, "", Restart, "Hosts of token services, beside the registry's own, that get the password"),
    Row("upstreams[].fresh", Time, "5m", Restart, "Time for which a tag is not asked for again"),
    Row("upstreams[].timeout", Time, "3s", Restart, "Maximum time for the head of its answer"),
    Row("upstreams[].ca", Text, "", Restart, "PEM file: authorities that are trusted beside the system's"),
    Row("upstreams[].proxy", Url, "(HTTPS_PROXY, HTTP_PROXY, NO_PROXY)", Restart, "Proxy to it: a URL that begins with http://"),
    Row("upstreams[].allow", Texts, "(all)", Restart, "Globs of repositories there that may be fetched"),
    Row("upstreams[].keep.unused", Time, "(any time)", Live, "Time after their last pull for which its images are kept"),
    Row("upstreams[].keep.size", Bytes, "(any size)", Live, "Maximum size of the blobs that its images need, each counted once; the least recently pulled go first"),
    Row("storage.reserve", COUNT, "268435456", Live, "Minimum free disk, in bytes; below it pushes get 507"),
    Row("storage.import", Word(&["auto", "off"]), "auto", Restart, "Take over the store of registry:2 in the data directory at the first start, or do not start beside it"),
    Row("storage.startempty", Switch, "false", Restart, "Allow an empty registry in a directory that holds a store of registry:2, which stays untouched"),
    Row("manifests.sparse", Switch, "false", Live, "Accept manifests whose references are not stored"),
    Row("manifests.limit", COUNT, "4194304", Live, "Maximum size of a manifest, in bytes"),
    Row("gc.enabled", Switch, "true", Live, "Run garbage collection in the server"),
    Row("gc.interval", Time, "1m", Live, "Pause between two runs"),
    Row("gc.lease", Time, "24h", Live, "How long a blob is kept after a client was told that it exists"),
    Row("gc.grace", Time, "24h", Live, "How long content is kept after its last reference is removed"),
    Row("gc.keepuntagged", Keep, "14d", Live, "How long untagged manifests are kept: a time (0s: only lease and grace apply), or forever"),
    Row("gc.history", Time, "90d", Live, "How long tag history is kept"),
    Row("backup.to", Text, "(none are made)", Live, "Directory on another disk for the backups that the server makes; it must exist"),
    Row("backup.every", Time, "(24h)", Live, "Time from one backup to the next"),
    Row("backup.keep", SMALL, "(7)", Live, "Number of backups to keep"),
    Row("audit.keep", Keep, "365d", Live, "How long the audit log remembers: a time of 1d or more, or forever"),
    Row("verify.enabled", Switch, "true", Live, "Have the server read everything that is stored from time to time, slowly, and compare it with its digests"),
    Row("verify.every", Time, "30d", Live, "Time from the end of a verification to the next one"),
    Row("webhooks[].name", Text, "", Live, "Name of a webhook, in metrics and commands"),
    Row("webhooks[].disabled", Switch, "false", Live, "Leave it out"),
    Row("webhooks[].url", Kind::Secret, "", Live, "URL that events are posted to; a link-local address needs linklocal"),
    Row("webhooks[].events", Words(&["push", "delete", "restore", "expire", "pull", "quota", "damage", "backup"]), "(all that the format can tell, but pull)", Live, "Events that it is told of"),
    Row("webhooks[].repositories", Texts, "(all)", Live, "Globs of repositories"),
    Row("webhooks[].tags", Texts, "(all, and events without a tag)", Live, "Globs of tags"),
    Row("webhooks[].format", Word(&["distribution", "cloudevents", "harbor", "dockerhub", "slack", "discord", "teams", "text"]), "cloudevents", Live, "Form of its requests"),
    Row("webhooks[].headers", HeaderSources, "", Live, "Headers of each request; a value may be {file: PATH} or {variable: NAME}"),
    Row("webhooks[].hmac.file", Text, "", Live, "File with the key that signs requests"),
    Row("webhooks[].hmac.variable", Text, "", Live, "Environment variable with that key"),
    Row("webhooks[].ca", Text, "(those of the system)", Live, "PEM file: authorities of its certificate"),
    Row("webhooks[].linklocal", Switch, "false", Live, "Allow its host to have a link-local address, where metadata services of clouds listen"),
    Row("webhooks[].timeout", Time, "10s", Live, "Timeout of a request"),
    Row("webhooks[].collapse", Time, "0s", Live, "Time within which only the last event of a tag is told"),
    Row("quotas[].repositories", Text, "", Live, "Glob of repositories; the first quota that matches applies, and what stands before ** has its own"),
    Row("quotas[].bytes", Bytes, "", Live, "Maximum size of all their blobs, each counted once: 20GiB, 500MB, or a number of bytes"),
    Row("policies[].repositories", Text, "", Live, "Glob of repositories; the first policy that matches applies"),
    Row("policies[].keepuntagged", Keep, "(gc.keepuntagged)", Live, "How long untagged manifests are kept there"),
    Row("policies[].immutable", Texts, "", Live, "Globs of tags that clients can neither move nor delete"),
    Row("policies[].expireimmutable", Switch, "false", Live, "Allow the tag rules to remove immutable tags"),
    Row("policies[].tags[].match", Texts, "", Live, "Globs of tags; the first rule that matches a tag applies"),
    Row("policies[].tags[].always", Switch, "false", Live, "Keep all of them"),
    Row("policies[].tags[].newest", COUNT, "", Live, "Keep this many of the newest"),
    Row("policies[].tags[].younger", Time, "", Live, "Keep those moved within this time"),
    Row("policies[].tags[].pulled", Time, "", Live, "Keep those pulled within this time"),
];

/// Keys that must be present if their section is.
const REQUIRED: [&str; 26] = [
    "upstreams[].prefix",
    "upstreams[].url",
    "webhooks[].name",
    "webhooks[].url",
    "quotas[].repositories",
    "quotas[].bytes",
    "trust[].name",
    "trust[].issuer",
    "trust[].audience",
    "access.rules[].repositories",
    "access.rules[].who",
    "access.rules[].may",
    "auth.silly.realm",
    "auth.silly.service",
    "auth.htpasswd.realm",
    "auth.htpasswd.path",
    "auth.token.realm",
    "auth.token.service",
    "auth.token.issuer",
    "health.file[].file",
    "health.http[].uri",
    "health.tcp[].addr",
    "validation.manifests.indexes.platformlist[].os",
    "validation.manifests.indexes.platformlist[].architecture",
    "policies[].repositories",
    "policies[].tags[].match",
];

/// Sections and keys that must not be empty where they are given, with what ends the sentence about one that is.
///
/// Elsewhere what is empty is as good as absent, and an absent one of these allows more.
pub(super) const NEVER_EMPTY: [(&str, &str); 2] = [
    (
        "access",
        "has no rules, so nobody may do anything: add access.rules, or take the section out",
    ),
    (
        "access.rules[].from",
        "is empty, which could mean nowhere or anywhere: name addresses and networks, or take the key out",
    ),
];

pub(super) fn keys() -> Vec<Key> {
    let rows = DISTRIBUTION
        .iter()
        .map(|row| (row, false))
        .chain(OURS.iter().map(|row| (row, true)));
    let key = |(&Row(path, kind, default, reload, meaning), is_ours)| Key {
        path: path.to_owned(),
        kind,
        status: Status::Supported,
        default,
        meaning,
        is_ours,
        is_required: REQUIRED.contains(&path),
        is_live: reload == Live,
    };
    rows.map(key).collect()
}
