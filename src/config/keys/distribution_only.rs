//! Distribution's keys without effect here: ignored if their owner loses nothing he had, otherwise rejected.

use crate::config::keys::key::{Key, Kind, Status, When, is_within};
use Status::{Ignored, Rejected};

/// Distribution's storage drivers, of older versions too; only the first is supported.
pub(super) const DRIVERS: [&str; 10] = [
    "filesystem",
    "inmemory",
    "s3",
    "s3aws",
    "gcs",
    "azure",
    "oss",
    "rados",
    "swift",
    "testdriver",
];

const ON_DISK: &str = "content is stored only in a directory: remove this section and set storage.filesystem.rootdirectory";
const IN_MEMORY: &str = "content is stored only in a directory: set storage.filesystem.rootdirectory, to a tmpfs if need be";
const NO_REDIS: &str = "descriptors are rows of the database and need no Redis";
const NO_MIDDLEWARE: &str = "middleware cannot be loaded: remove it, or set disabled: true";
/// Middleware that rewrites the URLs of object stores; distribution warns, and serves the files itself.
const URL_MIDDLEWARE: &[&str] = &["cloudfront", "alicdn", "rewrite"];
const NO_URLS: &str = "files in a directory have no URLs of their own, so clients get them from here, as from distribution";
const NO_REPORTS: &str = "errors go to the log only: remove it";
const ROWS: &str = "descriptors are rows of the database and need no cache";

/// A key, or a section whose members share its status.
struct Group(&'static str, Status, &'static [&'static str], &'static str);

#[rustfmt::skip]
const GROUPS: &[Group] = &[
    Group("log.hooks", Rejected(When::Enabled, "logs are not sent by mail: let your log collector do that, and remove this or set disabled: true"),
        &["[].disabled", "[].type", "[].levels", "[].options.smtp.addr", "[].options.smtp.username", "[].options.smtp.password",
          "[].options.smtp.insecure", "[].options.from", "[].options.to"],
        "Send log messages by mail"),
    Group("http.secret", Ignored("the state of uploads is stored in the database, not signed and sent to clients"), &[],
        "Key that signs the state of uploads"),
    Group("storage.filesystem.maxthreads", Ignored("the number of threads is fixed"), &[], "Maximum number of concurrent operations"),
    Group("storage.redirect.disable", Ignored("content is always local, so clients are never redirected"), &[], "Serve content of object stores directly instead of redirecting"),
    Group("storage.cache.blobdescriptor", Ignored(ROWS), &[], "Cache of descriptors"),
    Group("storage.cache.layerinfo", Ignored(ROWS), &[], "Older name of blobdescriptor"),
    Group("storage.cache.blobdescriptorsize", Ignored(ROWS), &[], "Maximum number of cached descriptors"),
    Group("storage.tag.concurrencylimit", Ignored("tags of a manifest are found by an index"), &[], "Concurrent tag look-ups when a manifest is deleted"),
    Group("storage.inmemory", Rejected(When::Named, IN_MEMORY), &[], "Storage in memory"),
    Group("storage.testdriver", Rejected(When::Named, IN_MEMORY), &[], "Storage driver for tests"),
    Group("storage.s3", Rejected(When::Named, ON_DISK), S3, "Amazon S3 and compatible stores"),
    Group("storage.s3aws", Rejected(When::Named, ON_DISK), S3, "Older name of s3"),
    Group("storage.gcs", Rejected(When::Named, ON_DISK),
        &["bucket", "keyfile", "credentials.type", "credentials.project_id", "credentials.private_key_id", "credentials.private_key",
          "credentials.client_email", "credentials.client_id", "credentials.auth_uri", "credentials.token_uri",
          "credentials.auth_provider_x509_cert_url", "credentials.client_x509_cert_url", "rootdirectory", "chunksize", "maxconcurrency",
          "useragent"],
        "Google Cloud Storage"),
    Group("storage.azure", Rejected(When::Named, ON_DISK),
        &["accountname", "accountkey", "container", "connectionstring", "credentials.type", "credentials.clientid", "credentials.tenantid",
          "credentials.secret", "realm", "rootdirectory", "serviceurl", "max_retries", "retry_delay", "skipverify"],
        "Azure Blob Storage"),
    Group("storage.oss", Rejected(When::Named, ON_DISK),
        &["accesskeyid", "accesskeysecret", "region", "endpoint", "internal", "bucket", "encrypt", "secure", "chunksize", "rootdirectory"],
        "Aliyun OSS (distribution 2)"),
    Group("storage.rados", Rejected(When::Named, ON_DISK), &["poolname", "username", "chunksize"], "Ceph (distribution before 2.7)"),
    Group("storage.swift", Rejected(When::Named, ON_DISK),
        &["username", "password", "authurl", "tenant", "tenantid", "domain", "domainid", "tenantdomain", "tenantdomainid", "trustid",
          "insecureskipverify", "region", "container", "prefix", "rootdirectory", "chunksize", "secretkey", "accesskey", "authversion",
          "endpointtype", "tempurlcontainerkey", "tempurlmethods"],
        "OpenStack Swift (distribution 2)"),
    Group("middleware.registry", Rejected(When::Enabled, NO_MIDDLEWARE), MIDDLEWARE, "Middleware compiled into the registry"),
    Group("middleware.repository", Rejected(When::Enabled, NO_MIDDLEWARE), MIDDLEWARE, "Middleware compiled into the registry"),
    Group("middleware.storage", Rejected(When::EnabledExcept(URL_MIDDLEWARE, NO_URLS), NO_MIDDLEWARE), MIDDLEWARE,
        "Redirection of clients to a CDN"),
    Group("redis", Ignored(NO_REDIS),
        &["addrs", "addr", "clientname", "db", "protocol", "username", "password", "sentinelusername", "sentinelpassword", "maxretries",
          "minretrybackoff", "maxretrybackoff", "dialtimeout", "readtimeout", "writetimeout", "contexttimeoutenabled", "poolfifo", "poolsize",
          "pooltimeout", "minidleconns", "maxidleconns", "maxactiveconns", "connmaxidletime", "connmaxlifetime", "maxredirects", "readonly",
          "routebylatency", "routerandomly", "mastername", "disableidentity", "identitysuffix", "unstableresp3", "pool.maxidle",
          "pool.maxactive", "pool.idletimeout", "tls.enabled", "tls.certificate", "tls.key", "tls.rootcas"],
        "Cache of descriptors"),
    Group("health.file[].threshold", Ignored("one check is conclusive, as in distribution"), &[], "Consecutive failures before the server is unhealthy"),
    Group("proxy.cachewritetimeout", Ignored("a fetch goes on until it ends"), &[], "Maximum time for storing what was fetched"),
    Group("reporting.bugsnag.apikey", Rejected(When::Given, NO_REPORTS), &[], "Error reporting service (distribution 2)"),
    Group("reporting.newrelic.licensekey", Rejected(When::Given, NO_REPORTS), &[], "Error reporting service (distribution 2)"),
    Group("reporting", Ignored("nothing is reported without a key of the service"),
        &["bugsnag.releasestage", "bugsnag.endpoint", "newrelic.name", "newrelic.verbose"],
        "Options of reporting"),
    Group("compatibility", Ignored("manifests of schema 1 are rejected, as by distribution 3"),
        &["schema1.enabled", "schema1.signingkeyfile", "schema1.disablesignaturestore"],
        "Accept manifests of schema 1 (distribution 2)"),
];

const MIDDLEWARE: &[&str] = &["[].name", "[].disabled", "[].options"];

const S3: &[&str] = &[
    "accesskey",
    "secretkey",
    "region",
    "regionendpoint",
    "redirectendpoint",
    "forcepathstyle",
    "bucket",
    "encrypt",
    "keyid",
    "secure",
    "skipverify",
    "v4auth",
    "chunksize",
    "multipartcopychunksize",
    "multipartcopymaxconcurrency",
    "multipartcopythresholdsize",
    "rootdirectory",
    "storageclass",
    "useragent",
    "objectacl",
    "usedualstack",
    "accelerate",
    "usefipsendpoint",
    "sessiontoken",
    "loglevel",
];

pub(super) fn keys() -> Vec<Key> {
    let mut keys = Vec::new();
    for &Group(path, status, members, meaning) in GROUPS {
        let key = |path: String| {
            let kind = if is_secret(&path) {
                Kind::Secret
            } else {
                Kind::Anything
            };
            Key {
                path,
                kind,
                status,
                default: "",
                meaning,
                is_ours: false,
                is_required: false,
                is_live: false,
            }
        };
        // a section is rejected or ignored as a whole, unless some of its keys have a status of their own
        let is_whole = !GROUPS
            .iter()
            .any(|Group(other, ..)| *other != path && is_within(other, path));
        if is_whole {
            keys.push(key(path.to_owned()));
        }
        keys.extend(members.iter().map(|member| {
            key(format!(
                "{path}{}{member}",
                if member.starts_with('[') { "" } else { "." }
            ))
        }));
    }
    keys
}

fn is_secret(path: &str) -> bool {
    let last = path.rsplit('.').next().unwrap_or(path);
    [
        "password",
        "secret",
        "secretkey",
        "accesskey",
        "accountkey",
        "private_key",
        "accesskeysecret",
        "connectionstring",
        "apikey",
        "licensekey",
    ]
    .contains(&last)
}
