//! The real clients against the real server: `cargo test --test clients [NAME…]`. What a registry is for is done three times:
//! over plain HTTP, over TLS with a login, and behind nginx.
//! `tests/clients/install` brings the clients; a test whose client is missing is left out, and the
//! closing line counts it as skipped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests fail by panicking"
)]

mod access;
mod differential;
mod engines;
mod harness;
mod mirrors;
mod moving;
mod support;
mod surroundings;
mod tools;

use std::process::ExitCode;

use engines::{buildkit, collection, containerd, docker, encrypted, image, switching};
use harness::runner::{self, Test};
use surroundings::{acme, alerts, fail2ban, nginx, proxies, unit};
use tools::{buildah, cosign, crane, curl, export, helm, import, oras, podman, regctl, skopeo};

const TESTS: &[Test] = &[
    Test::root("docker", &["docker", "dockerd"], docker::push_and_pull)
        .on_every_engine()
        .everywhere(),
    Test::root(
        "docker-multi-arch",
        &["docker", "dockerd"],
        docker::multi_arch,
    )
    .on_every_engine()
    .everywhere(),
    Test::root(
        "docker-buildx",
        &["docker", "dockerd"],
        docker::attested_multi_arch,
    )
    .on_newest_engine()
    .everywhere(),
    Test::root(
        "docker-beside-gc",
        &["docker", "dockerd", "curl"],
        collection::beside_pushes,
    )
    .on_every_engine()
    .with(collection::HASTY),
    Test::root(
        "docker-garbage-collect",
        &["docker", "dockerd", "curl", "du"],
        collection::by_the_manuals,
    )
    .on_every_engine()
    .with(collection::BY_HAND),
    Test::root("podman", &["podman"], podman::push_and_pull).everywhere(),
    Test::root("podman-multi-arch", &["podman"], podman::multi_arch).everywhere(),
    Test::root("podman-zstd-chunked", &["podman"], podman::zstd_chunked).everywhere(),
    Test::root("buildah", &["buildah"], buildah::multi_arch).everywhere(),
    Test::new("skopeo", &["skopeo"], skopeo::oci_layouts).everywhere(),
    Test::new("skopeo-docker-format", &["skopeo"], skopeo::docker_format).everywhere(),
    Test::new("skopeo-delete", &["skopeo"], skopeo::delete).everywhere(),
    Test::new("skopeo-export", &["skopeo"], export::to_skopeo),
    Test::root("podman-export", &["podman", "skopeo"], export::to_podman),
    Test::new("skopeo-import", &["skopeo", "gzip"], import::from_skopeo),
    Test::root("podman-import", &["podman"], import::from_podman),
    Test::new("crane", &["crane"], crane::push_and_pull).everywhere(),
    Test::new("crane-edit", &["crane"], crane::edit).everywhere(),
    Test::new("curl-closing", &["curl"], curl::closing_again),
    Test::new("curl-headers", &["curl"], curl::header_names),
    Test::new("curl-absolute", &["curl"], curl::absolute)
        .with(&[("REGISTRY_HTTP_RELATIVEURLS", "false")]),
    Test::new("regctl", &["regctl"], regctl::copy_and_tags).everywhere(),
    Test::new("regctl-blobs", &["regctl"], regctl::blobs).everywhere(),
    Test::new("regctl-artifacts", &["regctl"], regctl::artifacts).everywhere(),
    Test::new("helm", &["helm"], helm::charts).everywhere(),
    Test::new(
        "own-chart",
        &["helm", "kubernetes-validate"],
        helm::own_chart,
    ),
    Test::new("cosign", &["cosign", "skopeo"], cosign::sign_and_attest).everywhere(),
    Test::root(
        "containerd",
        &["containerd", "ctr"],
        containerd::parallel_pull,
    )
    .everywhere(),
    Test::root(
        "mirror-docker",
        &["docker", "dockerd", "docker-registry", "skopeo"],
        mirrors::docker_by_listen,
    )
    .on_every_engine(),
    Test::root(
        "mirror-docker-proxy",
        &["docker", "dockerd", "docker-registry", "skopeo"],
        mirrors::docker_by_proxy,
    )
    .on_every_engine(),
    Test::root(
        "mirror-containerd",
        &["containerd", "ctr", "docker-registry", "skopeo"],
        mirrors::containerd_by_hosts,
    ),
    Test::root(
        "mirror-podman",
        &["podman", "docker-registry", "skopeo"],
        mirrors::podman_by_registries_conf,
    ),
    Test::root(
        "mirror-buildkit",
        &["buildkitd", "buildctl", "docker-registry", "skopeo"],
        mirrors::buildkit_by_configuration,
    ),
    Test::new(
        "mirror-tools",
        &["skopeo", "crane", "helm"],
        mirrors::tools_by_prefix,
    ),
    Test::root(
        "mirror-hub-docker",
        &["docker", "dockerd"],
        mirrors::hub_docker_by_listen,
    )
    .on_every_engine(),
    Test::root(
        "mirror-hub-docker-proxy",
        &["docker", "dockerd"],
        mirrors::hub_docker_by_proxy,
    )
    .on_every_engine(),
    Test::root(
        "mirror-hub-containerd",
        &["containerd", "ctr"],
        mirrors::hub_containerd_by_hosts,
    ),
    Test::root(
        "mirror-hub-podman",
        &["podman"],
        mirrors::hub_podman_by_registries_conf,
    ),
    Test::root(
        "mirror-hub-buildkit",
        &["buildkitd", "buildctl"],
        mirrors::hub_buildkit_by_configuration,
    ),
    Test::new(
        "mirror-hub-tools",
        &["skopeo", "crane", "helm", "docker-registry"],
        mirrors::hub_tools_by_prefix,
    ),
    Test::new("access-crane", &["crane"], access::tools::crane),
    Test::new("access-skopeo", &["skopeo"], access::tools::skopeo),
    Test::new("access-regctl", &["regctl"], access::tools::regctl),
    Test::new("access-oras", &["oras"], access::tools::oras),
    Test::new("access-helm", &["helm"], access::tools::helm),
    Test::new(
        "access-cosign",
        &["cosign", "skopeo"],
        access::tools::cosign,
    ),
    Test::root("access-podman", &["podman"], access::engines::podman),
    Test::root(
        "access-containerd",
        &["containerd", "ctr"],
        access::engines::containerd_and_ctr,
    ),
    Test::root(
        "access-buildkit",
        &["buildkitd", "buildctl"],
        access::engines::buildkit,
    ),
    Test::root(
        "access-refusals",
        &["crane", "podman"],
        access::refusals::by_tools,
    ),
    Test::new("tls", &["skopeo", "crane"], encrypted::private_authority),
    Test::new(
        "tls-client-certificates",
        &["skopeo"],
        encrypted::client_certificates,
    ),
    Test::new(
        "acme",
        &["pebble", "pebble-challtestsrv", "curl"],
        acme::issued_and_renewed,
    ),
    Test::new(
        "nginx",
        &["nginx", "crane", "skopeo", "curl"],
        nginx::encrypted,
    ),
    Test::new(
        "nginx-buffered",
        &["nginx", "crane", "skopeo", "curl"],
        nginx::buffered,
    ),
    Test::new(
        "nginx-plain",
        &["nginx", "crane", "skopeo", "curl"],
        nginx::plain,
    ),
    Test::new(
        "nginx-absolute",
        &["nginx", "crane", "skopeo", "curl"],
        nginx::absolute,
    )
    .with(&[
        ("REGISTRY_HTTP_RELATIVEURLS", "false"),
        ("REGISTRY_HTTP_TRUSTEDPROXIES", "[127.0.0.1]"),
    ]),
    Test::new(
        "haproxy",
        &["haproxy", "curl", "crane", "skopeo"],
        proxies::haproxy,
    )
    .with(BEHIND_A_PROXY),
    Test::new(
        "caddy",
        &["caddy", "curl", "crane", "skopeo"],
        proxies::caddy,
    )
    .with(BEHIND_A_PROXY),
    Test::new("nginx-path-stripped", &["nginx", "curl"], nginx::stripped)
        .with(&[("REGISTRY_HTTP_TRUSTEDPROXIES", "[127.0.0.1]")]),
    Test::new("nginx-path-kept", &["nginx", "curl"], nginx::prefixed)
        .with(&[("REGISTRY_HTTP_PREFIX", "/images/")]),
    Test::new(
        "nginx-path-added",
        &["nginx", "crane", "curl"],
        nginx::added,
    )
    .with(&[("REGISTRY_HTTP_PREFIX", "/images/")]),
    Test::new("oras", &["oras"], oras::artifacts).everywhere(),
    Test::new("oras-copy", &["oras"], oras::copy).everywhere(),
    Test::root(
        "switching",
        &["docker", "dockerd", "curl", "skopeo"],
        switching::anonymous,
    )
    .on_every_engine(),
    Test::root(
        "switching-insecure-registries",
        &["docker", "dockerd"],
        switching::insecure_registries,
    )
    .on_every_engine(),
    Test::root(
        "switching-tls",
        &["docker", "dockerd", "curl", "skopeo", "podman"],
        switching::tls::private_authority,
    )
    .on_every_engine(),
    Test::root(
        "switching-client-certificates",
        &["docker", "dockerd", "curl", "skopeo"],
        switching::tls::client_certificates,
    )
    .on_every_engine(),
    Test::root(
        "switching-logins",
        LOGIN_PROGRAMS,
        switching::logins::by_configuration,
    )
    .on_every_engine(),
    Test::root(
        "switching-logins-variables",
        LOGIN_PROGRAMS,
        switching::logins::by_variables,
    )
    .on_every_engine(),
    Test::root(
        "switching-public",
        &["docker", "dockerd", "skopeo"],
        switching::public::anonymous_pulls,
    )
    .on_every_engine(),
    Test::root(
        "switching-tokens",
        &["docker", "dockerd", "skopeo", "podman"],
        switching::tokens::of_another_server,
    )
    .on_every_engine(),
    // 20.10 alone: 29 runs containers in a namespace that Debian's runc does not know
    Test::root(
        "image",
        &["docker", "dockerd", "curl", "musl-gcc", "busybox"],
        image::in_place_of_registry_2,
    )
    .unless(image::lacks),
    Test::root(
        "moving-volume",
        &[
            "docker",
            "dockerd",
            "docker-registry",
            "skopeo",
            "curl",
            "musl-gcc",
            "busybox",
        ],
        moving::on_the_volume_of_registry_2,
    )
    .unless(image::lacks),
    Test::root(
        "moving-in-place",
        MOVING_PROGRAMS,
        moving::taken_over_and_back,
    )
    .on_every_engine(),
    Test::root(
        "moving-growing",
        MOVING_PROGRAMS,
        moving::imported_while_it_grows,
    ),
    Test::root(
        "moving-damaged",
        &["docker", "dockerd", "docker-registry", "skopeo", "curl"],
        moving::damaged_store_taken_over,
    ),
    Test::root(
        "moving-damaged-import",
        &["docker", "dockerd", "docker-registry", "skopeo", "curl"],
        moving::damaged_store_imported,
    ),
    Test::new(
        "systemd-unit",
        &["systemd-analyze"],
        unit::is_valid_as_installed,
    ),
    Test::new("alerts", &["promtool"], alerts::fire),
    Test::new(
        "differential",
        &["docker-registry"],
        differential::without_login,
    ),
    Test::new(
        "differential-login",
        &["docker-registry", "htpasswd"],
        differential::with_login,
    ),
    Test::root(
        "differential-notifications",
        &[
            "docker-registry",
            "docker",
            "dockerd",
            "podman",
            "helm",
            "crane",
        ],
        differential::notifications,
    ),
    Test::new(
        "fail2ban-file",
        &["fail2ban-regex", "curl"],
        fail2ban::in_a_file,
    ),
    Test::new(
        "fail2ban-journal",
        &["fail2ban-regex", "curl", "python3"],
        fail2ban::in_the_journal,
    )
    .unless(fail2ban::lacks_journal),
    Test::new("fail2ban-jail", &["fail2ban-client"], fail2ban::jail)
        .unless(fail2ban::lacks_journal),
    Test::root(
        "buildkit",
        &["buildkitd", "buildctl"],
        buildkit::attested_multi_arch,
    )
    .everywhere(),
    Test::root(
        "buildkit-cache",
        &["buildkitd", "buildctl"],
        buildkit::cache,
    )
    .everywhere(),
];

/// Absolute locations show what a proxy tells.
const BEHIND_A_PROXY: &[(&str, &str)] = &[
    ("REGISTRY_HTTP_RELATIVEURLS", "false"),
    ("REGISTRY_HTTP_TRUSTEDPROXIES", "[127.0.0.1]"),
];
const MOVING_PROGRAMS: &[&str] = &[
    "docker",
    "dockerd",
    "docker-registry",
    "podman",
    "skopeo",
    "helm",
    "cosign",
    "buildkitd",
    "buildctl",
    "oras",
    "curl",
];
const LOGIN_PROGRAMS: &[&str] = &["docker", "dockerd", "curl", "skopeo", "podman", "htpasswd"];

fn main() -> ExitCode {
    let filters: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    runner::run(TESTS, &filters)
}
