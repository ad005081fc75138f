//! Keys that have their effect, distribution's and ours.

use crate::config::keys::key::{Key, Kind, Status};
use Kind::{
    Fields, Headers, Keep, Page, SecretHeaders, Switch, Text, Texts, Time, TlsVersion, Url,
    Version, Word, Words,
};

struct Row(&'static str, Kind, &'static str, &'static str);

const COUNT: Kind = Kind::Count(u64::MAX);
const SMALL: Kind = Kind::Count(u32::MAX as u64);
const LEVELS: Kind = Word(&["error", "warn", "info", "debug"]);
const CLIENT_AUTH: Kind = Word(&[
    "request-client-cert",
    "require-any-client-cert",
    "verify-client-cert-if-given",
    "require-and-verify-client-cert",
]);

/// Distribution's: path, kind, default, meaning.
#[rustfmt::skip]
const THEIRS: &[Row] = &[
    Row("version", Version, "0.1", "The shape of the file"),
    Row("log.level", LEVELS, "info", "The least severe messages that are logged"),
    Row("log.formatter", Word(&["text", "json", "logstash"]), "text", "How a line of the log looks"),
    Row("log.fields", Fields, "", "Put on every line of the log"),
    Row("log.reportcaller", Switch, "false", "Name the place in the source on every line of the log"),
    Row("log.accesslog.disabled", Switch, "false", "No line in Combined Log Format for each request on standard output"),
    Row("loglevel", LEVELS, "", "The older name of log.level, which goes before it"),
    Row("http.addr", Text, "127.0.0.1:5000", "Where to listen: HOST:PORT, :PORT for every address, or a path where net is unix"),
    Row("http.net", Word(&["tcp", "unix"]), "tcp", "The kind of socket"),
    Row("http.prefix", Text, "", "The path below which everything is, with a slash at both ends"),
    Row("http.host", Url, "(what the request says)", "The URL by which clients know the server, for the URLs it gives them"),
    Row("http.relativeurls", Switch, "(true unless http.host is given)", "Give clients URLs without scheme and host; distribution does not unless told so"),
    Row("http.draintimeout", Time, "30s", "How long requests in flight are waited for when the server stops"),
    Row("http.headers", Headers, "", "Put on every answer"),
    Row("http.tls.certificate", Text, "", "PEM: the server's certificate, then those that lead to its authority; read again when it changes"),
    Row("http.tls.key", Text, "", "PEM: the certificate's key"),
    Row("http.tls.clientcas", Texts, "", "PEM: authorities of clients' certificates"),
    Row("http.tls.clientauth", CLIENT_AUTH, "(require-and-verify-client-cert)", "What is asked of clients where clientcas are given"),
    Row("http.tls.minimumtls", TlsVersion, "(tls1.2)", "The lowest version that is spoken"),
    Row("http.tls.ciphersuites", Texts, "(all that rustls has)", "The only ones that are used with TLS 1.2, by Go's names"),
    Row("http.tls.letsencrypt.cachefile", Text, "", "Where the account and certificates are kept; needed with letsencrypt"),
    Row("http.tls.letsencrypt.email", Text, "", "Whom the authority writes to"),
    Row("http.tls.letsencrypt.hosts", Texts, "", "The names that are certified; needed with letsencrypt"),
    Row("http.tls.letsencrypt.directoryurl", Url, "(Let's Encrypt)", "The ACME directory of another authority"),
    Row("http.http2.disabled", Switch, "false", "No HTTP/2 over TLS"),
    Row("http.h2c.enabled", Switch, "false", "HTTP/2 without TLS"),
    Row("http.debug.addr", Text, "", "Where health and metrics are served, without login"),
    Row("http.debug.prometheus.enabled", Switch, "false", "Serve metrics there"),
    Row("http.debug.prometheus.path", Text, "/metrics", "Where there"),
    Row("storage.filesystem.rootdirectory", Text, "(/var/lib/registry where it is writable, else ~/.local/share/registry)", "The data directory"),
    Row("storage.delete.enabled", Switch, "true", "Whether clients may delete; off in distribution"),
    Row("storage.maintenance.readonly.enabled", Switch, "false", "Clients can only read"),
    Row("storage.maintenance.uploadpurging.enabled", Switch, "true", "End uploads that nobody goes on with"),
    Row("storage.maintenance.uploadpurging.age", Time, "168h", "How old an upload has to be for that"),
    Row("storage.maintenance.uploadpurging.interval", Time, "1h", "How long to rest between two looks"),
    Row("storage.maintenance.uploadpurging.dryrun", Switch, "false", "Only say in the log what would go"),
    Row("auth.none", Kind::Nothing, "", "Nobody is asked, as without any of these"),
    Row("auth.silly.realm", Text, "", "What clients are told that they log in to"),
    Row("auth.silly.service", Text, "", "The service that clients are told of"),
    Row("auth.htpasswd.realm", Text, "", "What clients are told that they log in to"),
    Row("auth.htpasswd.path", Text, "", "The file of users and bcrypt hashes; read again when it changes"),
    Row("auth.token.realm", Url, "", "The URL at which clients get tokens"),
    Row("auth.token.service", Text, "", "This registry's name in tokens"),
    Row("auth.token.issuer", Text, "", "Whose tokens are taken"),
    Row("auth.token.rootcertbundle", Text, "", "PEM: certificates whose keys sign tokens"),
    Row("auth.token.jwks", Text, "", "A JSON Web Key Set with keys that sign tokens"),
    Row("auth.token.signingalgorithms", Texts, "(all that use keys of their own)", "The only ones that are taken"),
    Row("auth.token.autoredirect", Switch, "false", "Put the name that the client uses for this registry into the realm"),
    Row("auth.token.autoredirectpath", Text, "/auth/token", "The path of that realm"),
    Row("health.storagedriver.enabled", Switch, "false", "Watch whether the data directory can be used"),
    Row("health.storagedriver.interval", Time, "10s", "Between two looks"),
    Row("health.storagedriver.threshold", SMALL, "1", "How many failures in a row count"),
    Row("health.file[].file", Text, "", "Not well while this file exists"),
    Row("health.file[].interval", Time, "10s", "Between two looks"),
    Row("health.http[].uri", Url, "", "Not well unless a HEAD is answered as expected"),
    Row("health.http[].headers", SecretHeaders, "", "Sent with it"),
    Row("health.http[].statuscode", Kind::Count(999), "200", "The status that is expected"),
    Row("health.http[].timeout", Time, "5s", "How long it may take"),
    Row("health.http[].interval", Time, "10s", "Between two looks"),
    Row("health.http[].threshold", SMALL, "1", "How many failures in a row count"),
    Row("health.tcp[].addr", Text, "", "Not well unless a connection is taken here"),
    Row("health.tcp[].timeout", Time, "5s", "How long it may take"),
    Row("health.tcp[].interval", Time, "10s", "Between two looks"),
    Row("health.tcp[].threshold", SMALL, "1", "How many failures in a row count"),
    Row("validation.enabled", Switch, "", "Goes over disabled; and layers that are kept elsewhere are refused where no rule about URLs is given"),
    Row("validation.disabled", Switch, "false", "Without the rules below"),
    Row("validation.manifests.urls.allow", Texts, "", "Regular expressions: one must match each URL of a layer that is kept elsewhere"),
    Row("validation.manifests.urls.deny", Texts, "", "Regular expressions: none may match one"),
    Row("validation.manifests.indexes.platforms", Word(&["all", "none", "list"]), "all", "Which images of an index must be stored"),
    Row("validation.manifests.indexes.platformlist[].os", Text, "", "Those of this system, where platforms is list"),
    Row("validation.manifests.indexes.platformlist[].architecture", Text, "", "And of this architecture"),
    Row("policy.repository.classes", Words(&["image", "plugin"]), "(all)", "The only kinds of content that may be pushed"),
    Row("catalog.maxentries", Page, "10000", "The largest page of the list of repositories"),
    Row("tags.maxtags", Page, "10000", "The largest page of a list of tags"),
];

/// Ours.
#[rustfmt::skip]
const OURS: &[Row] = &[
    Row("http.tls.letsencrypt.directoryca", Text, "(those of the system)", "PEM: the authority of the ACME directory's own certificate"),
    Row("http.trustedproxies", Texts, "(nobody)", "Addresses and networks whose Forwarded and X-Forwarded headers are believed"),
    Row("http.limits.connections", COUNT, "4096", "Connections at once; more wait"),
    Row("http.limits.connectionsperaddress", COUNT, "1024", "Connections at once from one address; more are closed"),
    Row("http.limits.handshake", Time, "10s", "How long a client may take over a TLS handshake"),
    Row("http.limits.header", Time, "60s", "How long a client may take over the head of a request"),
    Row("http.limits.idle", Time, "120s", "How long the body of a request may bring nothing, and a client take nothing of an answer's"),
    Row("auth.htpasswd.cache", Time, "5m", "How long a right password is not hashed again, at most"),
    Row("storage.reserve", COUNT, "268435456", "Bytes of free disk that uploads leave alone"),
    Row("storage.startempty", Switch, "false", "Start in a data directory that holds a store of distribution, and leave that alone"),
    Row("manifests.sparse", Switch, "false", "Accept manifests that name content which is not stored"),
    Row("manifests.limit", COUNT, "4194304", "The largest manifest, in bytes"),
    Row("gc.enabled", Switch, "true", "Collect what nobody needs"),
    Row("gc.interval", Time, "1m", "How long to rest between two passes"),
    Row("gc.lease", Time, "24h", "How long clients may rely on having been told that something is there"),
    Row("gc.grace", Time, "24h", "How long what was needed stays after it is not any more"),
    Row("gc.untagged", Keep, "14d", "How long manifests without tags stay: a time, never or forever"),
    Row("gc.history", Time, "90d", "How long it is remembered what tags pointed at"),
    Row("policies[].repositories", Text, "", "A glob: the repositories that the rules are for; the first that matches counts"),
    Row("policies[].untagged", Keep, "(gc.untagged)", "How long manifests without tags stay there"),
    Row("policies[].immutable", Texts, "", "Globs of tags that clients can neither move nor remove"),
    Row("policies[].expireimmutable", Switch, "false", "Whether the rules about tags may remove those"),
    Row("policies[].tags[].match", Texts, "", "Globs of the tags that the rule is for; the first that matches decides"),
    Row("policies[].tags[].always", Switch, "false", "They stay"),
    Row("policies[].tags[].newest", COUNT, "", "So many of them stay"),
    Row("policies[].tags[].younger", Time, "", "Those stay that were moved within this time"),
    Row("policies[].tags[].pulled", Time, "", "Those stay that were pulled within this time"),
];

/// Without these their sections make no sense.
const REQUIRED: [&str; 14] = [
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

pub(super) fn keys() -> Vec<Key> {
    let rows = THEIRS
        .iter()
        .map(|row| (row, false))
        .chain(OURS.iter().map(|row| (row, true)));
    let key = |(&Row(path, kind, default, meaning), is_ours)| Key {
        path: path.to_owned(),
        kind,
        status: Status::Supported,
        default,
        meaning,
        is_ours,
        is_required: REQUIRED.contains(&path),
    };
    rows.map(key).collect()
}
