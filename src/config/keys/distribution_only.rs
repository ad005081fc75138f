//! Keys of distribution that have no effect here: accepted where nobody can tell, refused where somebody could.

use crate::config::keys::key::{Key, Kind, Status, When};
use Status::{Ignored, Rejected};

/// Storage drivers of distribution, of its older versions as well; the first is the only one there is here.
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

const ON_DISK: &str = "content is kept in a directory only: remove it, and name one with storage.filesystem.rootdirectory";
const IN_MEMORY: &str = "nothing is kept in memory only: name a directory, on a tmpfs if need be, with storage.filesystem.rootdirectory";
const NO_REDIS: &str =
    "there is nothing to keep in Redis: remove it, descriptors are rows of the database";
const LATER: &str = "follows in a later version: remove it, or say disabled: true";
const ROWS: &str = "descriptors are rows of the database, which need no cache";

/// A key, or a section with these members, which share its status.
struct Group(&'static str, Status, &'static [&'static str], &'static str);

#[rustfmt::skip]
const GROUPS: &[Group] = &[
    Group("log.hooks", Rejected(When::Enabled, "the log is not sent by mail: let whatever reads it do so, and remove this or say disabled: true"),
        &["[].disabled", "[].type", "[].levels", "[].options.smtp.addr", "[].options.smtp.username", "[].options.smtp.password",
          "[].options.smtp.insecure", "[].options.from", "[].options.to"],
        "Send messages of some levels by mail"),
    Group("http.secret", Ignored("uploads are kept in the database, and nothing about them is signed"), &[],
        "Signs the state of uploads"),
    Group("storage.filesystem.maxthreads", Ignored("the number of threads does not depend on it"), &[], "Operations at once"),
    Group("storage.redirect.disable", Ignored("content never lies elsewhere, so clients are never sent there"), &[], "Pass content of other stores through"),
    Group("storage.cache.blobdescriptor", Ignored(ROWS), &[], "Where descriptors are cached"),
    Group("storage.cache.layerinfo", Ignored(ROWS), &[], "The older name of blobdescriptor"),
    Group("storage.cache.blobdescriptorsize", Ignored(ROWS), &[], "How many descriptors are cached"),
    Group("storage.tag.concurrencylimit", Ignored("tags of a manifest are found by an index"), &[], "Tags that are read at once when a manifest is deleted"),
    Group("storage.inmemory", Rejected(When::Named, IN_MEMORY), &[], "Keep everything in memory"),
    Group("storage.testdriver", Rejected(When::Named, IN_MEMORY), &[], "For tests"),
    Group("storage.s3", Rejected(When::Named, ON_DISK), S3, "Amazon S3 and what is like it"),
    Group("storage.s3aws", Rejected(When::Named, ON_DISK), S3, "The older name of s3"),
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
    Group("middleware", Rejected(When::Enabled, "nothing can be put between the registry and its store: remove it, or say disabled: true"),
        &["registry[].name", "registry[].disabled", "registry[].options", "repository[].name", "repository[].disabled",
          "repository[].options", "storage[].name", "storage[].disabled", "storage[].options"],
        "Code of others, and redirections to other places"),
    Group("notifications.events.includereferences", Ignored("it is about events, which have nowhere to go"), &[], "Name what a manifest refers to in its event"),
    Group("notifications.endpoints", Rejected(When::Enabled, LATER),
        &["[].name", "[].disabled", "[].url", "[].headers", "[].timeout", "[].threshold", "[].backoff", "[].ignoredmediatypes",
          "[].ignore.mediatypes", "[].ignore.actions"],
        "Where events are sent"),
    Group("redis", Rejected(When::Given, NO_REDIS),
        &["addrs", "addr", "clientname", "db", "protocol", "username", "password", "sentinelusername", "sentinelpassword", "maxretries",
          "minretrybackoff", "maxretrybackoff", "dialtimeout", "readtimeout", "writetimeout", "contexttimeoutenabled", "poolfifo", "poolsize",
          "pooltimeout", "minidleconns", "maxidleconns", "maxactiveconns", "connmaxidletime", "connmaxlifetime", "maxredirects", "readonly",
          "routebylatency", "routerandomly", "mastername", "disableidentity", "identitysuffix", "unstableresp3", "pool.maxidle",
          "pool.maxactive", "pool.idletimeout", "tls.enabled", "tls.certificate", "tls.key", "tls.rootcas"],
        "Where descriptors are cached"),
    Group("health.file[].threshold", Ignored("one look is certain, as in distribution"), &[], "How many failures in a row count"),
    Group("proxy.remoteurl", Rejected(When::Given, "fetching from another registry follows in a later version: remove it"), &[],
        "Fetch what is not here from another registry"),
    Group("proxy", Ignored("without proxy.remoteurl nothing is fetched from another registry"),
        &["username", "password", "exec.command", "exec.lifetime", "ttl", "cachewritetimeout"],
        "How to fetch from another registry"),
    Group("reporting", Rejected(When::Given, "errors are reported to nobody: they are in the log, so remove it"),
        &["bugsnag.apikey", "bugsnag.releasestage", "bugsnag.endpoint", "newrelic.licensekey", "newrelic.name", "newrelic.verbose"],
        "Report errors to a service (distribution 2)"),
    Group("compatibility.schema1.enabled",
        Rejected(When::On, "Docker's first format of manifests is not taken, nor does distribution 3 take it: remove it"), &[],
        "Docker's first format (distribution 2)"),
    Group("compatibility.schema1.signingkeyfile", Ignored("nothing is signed, as Docker's first format is not taken"), &[],
        "The key for that (distribution 2)"),
    Group("compatibility.schema1.disablesignaturestore", Ignored("no signatures are stored"), &[], "Without stored signatures (distribution before 2.5)"),
];

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
            }
        };
        // what a section is accepted for is said of its members
        if members.is_empty() || matches!(status, Rejected(..)) {
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
