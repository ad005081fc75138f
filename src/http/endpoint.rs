//! The table of endpoints: method, path, required right, effect and name in metrics of each.

use crate::auth::Permission;

/// Right that an endpoint requires, by distribution's rules (`registry/handlers/app.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// None: the response tells nothing of the content, or is a token. Browsers send `OPTIONS` without credentials.
    Public,
    /// A login, with any permissions.
    Login,
    /// Listing all repositories.
    Catalog,
    /// Every right in every repository.
    Administrator,
    /// These permissions on the repository that the path names.
    Repository(&'static [Permission]),
}

const PULL: Right = Right::Repository(&[Permission::Pull]);
const PUSH: Right = Right::Repository(&[Permission::Pull, Permission::Push]);
const DELETE: Right = Right::Repository(&[Permission::Delete]);
/// Deleting with an answer that tells of the content.
const REMOVE: Right = Right::Repository(&[Permission::Pull, Permission::Delete]);

/// Effect of an endpoint on the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Reads,
    /// Rejected in read-only mode, and completed even if the client disconnects.
    Changes,
}

/// Value of the label `handler` of metrics: distribution's names for its routes, and our own for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RouteLabel {
    Base,
    Catalog,
    Tags,
    Manifest,
    Blob,
    BlobUpload,
    BlobUploadChunk,
    Referrers,
    TagHistory,
    Events,
    Repository,
    Token,
    Api,
    Ui,
    Other,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndpointInfo {
    /// `GET` stands for `HEAD` as well.
    pub method: &'static str,
    /// Path template; a path that begins otherwise than with a slash is matched by no template.
    pub path: &'static str,
    pub right: Right,
    pub effect: Effect,
    pub label: RouteLabel,
}

/// Declares [`Endpoint`] and its table; a row without all five columns does not compile.
macro_rules! endpoints {
    ($($name:ident: $method:ident $path:literal, $right:expr, $effect:ident, $label:ident;)*) => {
        /// Kind of request. [`crate::http::api::request::action::Action`] has one variant for each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Endpoint {
            $($name,)*
        }

        impl Endpoint {
            /// All endpoints, in the order in which their paths are matched.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            pub(crate) const fn info(self) -> EndpointInfo {
                match self {
                    $(Self::$name => EndpointInfo {
                        method: stringify!($method),
                        path: $path,
                        right: $right,
                        effect: Effect::$effect,
                        label: RouteLabel::$label,
                    },)*
                }
            }
        }
    };
}

use Right::{Administrator, Catalog, Login, Public};

endpoints! {
    CheckApi:         GET     "/v2/",                                Login,   Reads,   Base;
    GetManifest:      GET     "/v2/{name}/manifests/{reference}",    PULL,    Reads,   Manifest;
    PutManifest:      PUT     "/v2/{name}/manifests/{reference}",    PUSH,    Changes, Manifest;
    DeleteManifest:   DELETE  "/v2/{name}/manifests/{reference}",    DELETE,  Changes, Manifest;
    BeginUpload:      POST    "/v2/{name}/blobs/uploads/",           PUSH,    Changes, BlobUpload;
    PushBlob:         POST    "/v2/{name}/blobs/uploads/",           PUSH,    Changes, BlobUpload;
    MountBlob:        POST    "/v2/{name}/blobs/uploads/",           PUSH,    Changes, BlobUpload;
    GetUpload:        GET     "/v2/{name}/blobs/uploads/{id}",       PULL,    Reads,   BlobUploadChunk;
    AppendUpload:     PATCH   "/v2/{name}/blobs/uploads/{id}",       PUSH,    Changes, BlobUploadChunk;
    FinishUpload:     PUT     "/v2/{name}/blobs/uploads/{id}",       PUSH,    Changes, BlobUploadChunk;
    CancelUpload:     DELETE  "/v2/{name}/blobs/uploads/{id}",       PUSH,    Changes, BlobUploadChunk;
    GetBlob:          GET     "/v2/{name}/blobs/{digest}",           PULL,    Reads,   Blob;
    DeleteBlob:       DELETE  "/v2/{name}/blobs/{digest}",           DELETE,  Changes, Blob;
    ListTags:         GET     "/v2/{name}/tags/list",                PULL,    Reads,   Tags;
    ListReferrers:    GET     "/v2/{name}/referrers/{digest}",       PULL,    Reads,   Referrers;
    TagHistory:       GET     "/v2/{name}/_oci/tag-history/{tag}",   PULL,    Reads,   TagHistory;
    ListRepositories: GET     "/v2/_catalog",                        Catalog, Reads,   Catalog;
    ListEvents:       GET     "/v2/_events",                         Catalog, Reads,   Events;
    GetToken:         GET     "/v2/_token",                          Public,  Reads,   Token;
    PostToken:        POST    "/v2/_token",                          Public,  Reads,   Token;
    DeleteRepository: DELETE  "/v2/{name}/",                         DELETE,  Changes, Repository;
    Root:             GET     "/",                                   Public,  Reads,   Other;
    Liveness:         GET     "/livez",                              Public,  Reads,   Other;
    Readiness:        GET     "/readyz",                             Public,  Reads,   Other;
    PingV1:           GET     "/v1/_ping",                           Public,  Reads,   Other;
    SearchV1:         GET     "/v1/search",                          Catalog, Reads,   Other;
    ApiRepositories:  GET     "/api/v1/repositories",                Catalog, Reads,   Api;
    ApiTags:          GET     "/api/v1/tags",                        Catalog, Reads,   Api;
    ApiTagsOf:        GET     "/api/v1/tags/{name}",                 PULL,    Reads,   Api;
    ApiUntagged:      GET     "/api/v1/untagged",                    Catalog, Reads,   Api;
    ApiManifest:      GET     "/api/v1/manifests/{name}/{reference}", PULL,   Reads,   Api;
    ApiContent:       GET     "/api/v1/contents/{name}/{reference}", PULL,    Reads,   Api;
    ApiHistory:       GET     "/api/v1/history/{name}/{tag}",        PULL,    Reads,   Api;
    ApiUsage:         GET     "/api/v1/usage",                       Catalog, Reads,   Api;
    ApiUsageOf:       GET     "/api/v1/usage/{name}",                PULL,    Reads,   Api;
    ApiGrowth:        GET     "/api/v1/growth",                      Catalog, Reads,   Api;
    ApiWhy:           GET     "/api/v1/why/{digest}",                Catalog, Reads,   Api;
    ApiTrash:         GET     "/api/v1/trash",                       Catalog, Reads,   Api;
    ApiPolicies:      GET     "/api/v1/policies",                    Catalog, Reads,   Api;
    ApiTriedPolicies: POST    "/api/v1/policies",                    Administrator, Reads, Api;
    ApiPoliciesOf:    GET     "/api/v1/policies/{name}",             PULL,    Reads,   Api;
    ApiTriedPoliciesOf: POST  "/api/v1/policies/{name}",             REMOVE,  Reads,   Api;
    ApiAudit:         GET     "/api/v1/audit",                       Administrator, Reads, Api;
    ApiTokens:        GET     "/api/v1/tokens",                      Administrator, Reads, Api;
    ApiWebhooks:      GET     "/api/v1/webhooks",                    Administrator, Reads, Api;
    ApiDeliveries:    GET     "/api/v1/deliveries",                  Administrator, Reads, Api;
    ApiUpstreams:     GET     "/api/v1/upstreams",                   Administrator, Reads, Api;
    ApiQuotas:        GET     "/api/v1/quotas",                      Administrator, Reads, Api;
    ApiDeletion:      GET     "/api/v1/deletions/{name}/{reference}", REMOVE, Reads,   Api;
    ApiSelection:     GET     "/api/v1/selections/{name}",           REMOVE,  Reads,   Api;
    ApiDeleteAll:     DELETE  "/api/v1/selections/{name}",           REMOVE,  Changes, Api;
    ApiRestoreAll:    POST    "/api/v1/selections/{name}",           REMOVE,  Changes, Api;
    ApiDigests:       GET     "/api/v1/digests/{name}/{prefix}",     PULL,    Reads,   Api;
    ApiDelete:        DELETE  "/api/v1/manifests/{name}/{reference}", REMOVE, Changes, Api;
    ApiRestore:       POST    "/api/v1/trash/{name}/{reference}",    REMOVE,  Changes, Api;
    ApiTokenCreate:   POST    "/api/v1/tokens",                      Administrator, Changes, Api;
    ApiTokenRotate:   POST    "/api/v1/tokens/{token}",              Administrator, Changes, Api;
    ApiTokenRevoke:   DELETE  "/api/v1/tokens/{token}",              Administrator, Changes, Api;
    ApiResend:        POST    "/api/v1/deliveries/{event}",          Administrator, Changes, Api;
    ApiPromote:       POST    "/api/v1/promotions/{name}/{tag}",     PUSH,    Changes, Api;
    ApiKeep:          POST    "/api/v1/kept/{name}/{tag}",           PUSH,    Changes, Api;
    ApiDocument:      GET     "/api/v1/openapi.json",                Public,  Reads,   Api;
    UiHome:           GET     "/ui/",                                Catalog, Reads,   Ui;
    UiRepository:     GET     "/ui/repositories/{name}",             PULL,    Reads,   Ui;
    UiUntagged:       GET     "/ui/untagged/{name}",                 PULL,    Reads,   Ui;
    UiTrash:          GET     "/ui/trash/{name}",                    PULL,    Reads,   Ui;
    UiImage:          GET     "/ui/images/{name}/{reference}",       PULL,    Reads,   Ui;
    UiHistory:        GET     "/ui/history/{name}/{tag}",            PULL,    Reads,   Ui;
    UiCompare:        GET     "/ui/compare",                         Catalog, Reads,   Ui;
    UiPolicies:       GET     "/ui/policies",                        Catalog, Reads,   Ui;
    UiTriedPolicies:  POST    "/ui/policies",                        Administrator, Reads, Ui;
    UiPoliciesOf:     GET     "/ui/policies/{name}",                 PULL,    Reads,   Ui;
    UiTriedPoliciesOf: POST   "/ui/policies/{name}",                 REMOVE,  Reads,   Ui;
    UiUsage:          GET     "/ui/usage",                           Catalog, Reads,   Ui;
    UiActivity:       GET     "/ui/activity",                        Administrator, Reads, Ui;
    UiTokens:         GET     "/ui/tokens",                          Administrator, Reads, Ui;
    UiTokenCreate:    POST    "/ui/tokens",                          Administrator, Changes, Ui;
    UiTokenChange:    POST    "/ui/tokens/{token}",                  Administrator, Changes, Ui;
    UiResend:         POST    "/ui/deliveries/{event}",              Administrator, Changes, Ui;
    UiKeep:           POST    "/ui/kept",                            Administrator, Changes, Ui;
    UiUpstreams:      GET     "/ui/upstreams",                       Administrator, Reads, Ui;
    UiWebhooks:       GET     "/ui/webhooks",                        Administrator, Reads, Ui;
    UiDeleteForm:     GET     "/ui/delete/{name}/{reference}",       REMOVE,  Reads,   Ui;
    UiDelete:         POST    "/ui/delete/{name}/{reference}",       REMOVE,  Changes, Ui;
    UiRestore:        POST    "/ui/restore/{name}/{reference}",      REMOVE,  Changes, Ui;
    UiDeleteSeveralForm: GET  "/ui/selections/{name}",               REMOVE,  Reads,   Ui;
    UiDeleteSeveral:  POST    "/ui/selections/{name}",               REMOVE,  Changes, Ui;
    UiRestoreSeveral: POST    "/ui/restores/{name}",                 REMOVE,  Changes, Ui;
    UiLoginForm:      GET     "/ui/login",                           Public,  Reads,   Ui;
    UiLogIn:          POST    "/ui/login",                           Public,  Reads,   Ui;
    UiToIssuer:       GET     "/ui/login/issuer",                    Public,  Reads,   Ui;
    UiFromIssuer:     GET     "/ui/login/return",                    Public,  Reads,   Ui;
    UiLogOut:         POST    "/ui/logout",                          Public,  Reads,   Ui;
    UiAsset:          GET     "/ui/assets/{file}",                   Public,  Reads,   Ui;
    Options:          OPTIONS "*",                                   Public,  Reads,   Other;
    Redirect:         GET     "(a path with empty segments)",        Public,  Reads,   Other;
}

impl Endpoint {
    /// Reports whether it is answered while a configured health check fails.
    pub(crate) fn is_probe(self) -> bool {
        matches!(self, Self::Root | Self::Liveness | Self::Readiness)
    }

    /// Reports whether it changes the registry.
    pub(crate) fn is_change(self) -> bool {
        self.info().effect == Effect::Changes
    }
}

impl RouteLabel {
    pub(crate) const ALL: [Self; 15] = [
        Self::Base,
        Self::Catalog,
        Self::Tags,
        Self::Manifest,
        Self::Blob,
        Self::BlobUpload,
        Self::BlobUploadChunk,
        Self::Referrers,
        Self::TagHistory,
        Self::Events,
        Self::Repository,
        Self::Token,
        Self::Api,
        Self::Ui,
        Self::Other,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Catalog => "catalog",
            Self::Tags => "tags",
            Self::Manifest => "manifest",
            Self::Blob => "blob",
            Self::BlobUpload => "blob_upload",
            Self::BlobUploadChunk => "blob_upload_chunk",
            Self::Referrers => "referrers",
            Self::TagHistory => "tag_history",
            Self::Events => "events",
            Self::Repository => "repository",
            Self::Token => "token",
            Self::Api => "api",
            Self::Ui => "ui",
            Self::Other => "other",
        }
    }
}

/// A path matched to the template of its endpoints. Repository names contain slashes, so a path is read from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MatchedPath<'p> {
    template: &'static str,
    /// Text that stands for `{name}`; empty if the template has none.
    pub name: &'p str,
    /// Text that stands for the last parameter; empty if the template has none.
    pub last: &'p str,
}

impl<'p> MatchedPath<'p> {
    /// Matches a decoded path, whatever its parameters are.
    pub(crate) fn of(path: &'p str) -> Option<Self> {
        let templates = Endpoint::ALL.iter().map(|endpoint| endpoint.info().path);
        templates
            .filter(|template| template.starts_with('/'))
            .find_map(|template| Self::with(template, path))
    }

    fn with(template: &'static str, path: &'p str) -> Option<Self> {
        let matched = |name, last| Self {
            template,
            name,
            last,
        };
        let Some((before, after)) = template.split_once("{name}") else {
            let is_same =
                path == template || (path.len() > 1 && Some(path) == template.strip_suffix('/'));
            let last = || path.strip_prefix(template.split_once('{')?.0);
            let last = last().filter(|last| !last.is_empty() && !last.contains('/'));
            return match is_same {
                true => Some(matched("", "")),
                false => last.map(|last| matched("", last)),
            };
        };
        let rest = path.strip_prefix(before)?;
        let Some((kind, _)) = after.split_once('{') else {
            // the slash at the end is optional, unless it is all there is
            let open = after.strip_suffix('/').filter(|open| !open.is_empty());
            let name = rest.strip_suffix(after);
            return name
                .or_else(|| rest.strip_suffix(open?))
                .map(|name| matched(name, ""));
        };
        let slash = rest.rfind('/')?;
        let (name, last) = (rest[..=slash].strip_suffix(kind)?, &rest[slash + 1..]);
        (!last.is_empty()).then(|| matched(name, last))
    }

    fn endpoints(self) -> impl Iterator<Item = Endpoint> {
        let all = Endpoint::ALL.iter().copied();
        all.filter(move |endpoint| endpoint.info().path == self.template)
    }

    /// The first endpoint of this path with `method`.
    pub(crate) fn endpoint(self, method: &str) -> Option<Endpoint> {
        self.endpoints()
            .find(|endpoint| endpoint.info().method == method)
    }

    /// Value of `Allow` for this path.
    pub(crate) fn allowed(self) -> String {
        allowed(self.endpoints())
    }

    /// Reports whether this is the path of a repository itself, which only `DELETE` knows.
    pub(crate) fn is_repository(self) -> bool {
        self.label() == RouteLabel::Repository
    }

    pub(crate) fn label(self) -> RouteLabel {
        self.endpoints()
            .next()
            .map_or(RouteLabel::Other, |endpoint| endpoint.info().label)
    }
}

/// Value of `Allow` for the API as a whole.
pub(crate) fn allowed_anywhere() -> String {
    let all = Endpoint::ALL.iter().copied();
    allowed(all.filter(|endpoint| *endpoint != Endpoint::Options))
}

fn allowed(endpoints: impl Iterator<Item = Endpoint>) -> String {
    let mut methods: Vec<_> = endpoints.map(|endpoint| endpoint.info().method).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.sort_unstable();
    methods.dedup();
    methods.join(", ")
}

/// Reports whether this is the path of a probe for orchestrators.
pub(crate) fn is_probe(path: &str) -> bool {
    [Endpoint::Liveness, Endpoint::Readiness]
        .iter()
        .any(|endpoint| endpoint.info().path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_matched_to_its_own_template() {
        for endpoint in Endpoint::ALL {
            let template = endpoint.info().path;
            let path = template.replace("{name}", "a/b").replace(['{', '}'], "");
            let found = MatchedPath::of(&path).map(|matched| matched.template);
            assert_eq!(found, template.starts_with('/').then_some(template));
        }
    }

    #[test]
    fn a_path_has_one_label() {
        for endpoint in Endpoint::ALL {
            for other in Endpoint::ALL {
                if endpoint.info().path == other.info().path {
                    assert_eq!(endpoint.info().label, other.info().label);
                }
            }
        }
    }

    /// A `GET` that changed something would bypass read-only mode in the hands of a crawler.
    #[test]
    fn methods_and_effects_agree() {
        for endpoint in Endpoint::ALL {
            // making a token changes nothing, logging in is reading, and so is trying rules
            let is_read = matches!(endpoint.info().method, "GET" | "OPTIONS")
                || matches!(
                    endpoint,
                    Endpoint::PostToken
                        | Endpoint::UiLogIn
                        | Endpoint::UiLogOut
                        | Endpoint::ApiTriedPolicies
                        | Endpoint::ApiTriedPoliciesOf
                        | Endpoint::UiTriedPolicies
                        | Endpoint::UiTriedPoliciesOf
                );
            assert_eq!(is_read, !endpoint.is_change(), "{endpoint:?}");
        }
    }

    #[test]
    fn every_change_takes_a_permission_on_its_repository_or_an_administrator() {
        for endpoint in Endpoint::ALL.iter().filter(|endpoint| endpoint.is_change()) {
            assert!(
                matches!(
                    endpoint.info().right,
                    Right::Repository([_, ..]) | Right::Administrator
                ),
                "{endpoint:?}"
            );
        }
    }
}
