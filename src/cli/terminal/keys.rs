//! Ends of pages of help: keys of the configuration that commands hang on.

/// Keys of `registry rm`.
pub(crate) const RM: &str = "\
Keys of the configuration (registry config show --example):
  gc.grace                how long a deletion can be undone
  gc.keepuntagged         how long an image without a tag stays
  policies[].immutable    tags that nobody can delete
  storage.delete.enabled  whether clients may delete too";

/// Keys of `registry restore`.
pub(crate) const RESTORE: &str = "\
Keys of the configuration (registry config show --example):
  gc.grace    how long a deletion can be undone
  gc.history  how long former targets of tags are remembered";

/// Keys of `registry tag`.
pub(crate) const TAG: &str = "\
  registry tag team/app:1.4 prod             another tag in the same repository
  registry tag team/app:1.4 release/app:1.4  the same image in another one
  registry tag history team/app:prod         what it pointed at, and when
  registry tag restore team/app:prod         back to what it pointed at before

Keys of the configuration (registry config show --example):
  gc.history            how long former targets of tags are remembered
  policies[].immutable  tags that cannot be moved";

/// Keys of `registry why`.
pub(crate) const WHY: &str = "\
Keys of the configuration (registry config show --example):
  gc.lease         how long a push can rely on what it was told
  gc.grace         how long content stays after its last use
  gc.keepuntagged  how long an image without a tag stays
  policies[].tags  rules about tags";

/// Keys of `registry policy preview`.
pub(crate) const POLICY: &str = "\
Keys of the configuration (registry config show --example):
  policies[].repositories    repositories that a policy is for
  policies[].tags[].match    tags that a rule decides about
  policies[].tags[].newest   keep this many of the newest
  policies[].tags[].younger  keep those pushed within this time
  policies[].tags[].pulled   keep those pulled or checked within this time
  policies[].tags[].always   keep all of them
  policies[].immutable       tags that cannot be moved or deleted
  policies[].keepuntagged    how long an image without a tag stays
  gc.keepuntagged            the same, for all other repositories";

/// Keys of `registry verify`.
pub(crate) const VERIFY: &str = "\
A damaged blob comes back with the next push of an image that has it, or from a
backup:

  registry export --data-dir BACKUP team/app:v1 repair.tar
  registry import repair.tar

Keys of the configuration (registry config show --example):
  verify.enabled  whether the server verifies by itself
  verify.every    how often";

/// Keys of `registry backup`.
pub(crate) const BACKUP: &str = "\
The directory is created, or holds the backup before: then only what is new is
copied. It belongs on another disk: on the same one, files are linked, and one
damaged file damages both. The configuration and the password file are not in
it. Docs: docs/backup.md

  registry backup /mnt/backup/registry
  registry verify --data-dir /mnt/backup/registry

Keys of the configuration (registry config show --example):
  backup.to     directory of backups that the server makes by itself
  backup.every  how often
  backup.keep   how many to keep";

/// Keys of `registry uploads`.
pub(crate) const UPLOADS: &str = "\
Keys of the configuration (registry config show --example):
  storage.maintenance.uploadpurging.age  age at which an upload ends";

/// Keys of `registry gc`.
pub(crate) const GC: &str = "\
Keys of the configuration (registry config show --example):
  gc.enabled       whether the server collects by itself
  gc.interval      how often
  gc.lease         how long a push can rely on what it was told
  gc.grace         how long a deletion can be undone
  gc.keepuntagged  how long an image without a tag stays
  gc.history       how long former targets of tags are remembered
  policies[].tags  rules about tags";

/// Keys of `registry du`.
pub(crate) const DU: &str = "\
Keys of the configuration (registry config show --example):
  storage.reserve  free disk below which pushes are refused
  gc.keepuntagged  how long an image without a tag stays";

/// Keys of `registry import`.
pub(crate) const IMPORT: &str = "\
Keys of the configuration (registry config show --example):
  storage.import   whether a first start takes over a registry:2
  storage.reserve  free disk below which nothing is stored";

/// Keys of `registry access`.
pub(crate) const ACCESS: &str = "\
Actions: pull, create (new tags), update (move tags), delete.
Roles:   push (pull, create, update), maintain (push, delete), admin (all).
Who:     anonymous, users (all who logged in), USER, @GROUP, token:NAME, trust:NAME.

Keys of the configuration (registry config show --example):
  access.groups       users of each group
  access.rules        who may do what, in which repositories
  trust               issuers whose tokens are logins, as trust:NAME
  auth.htpasswd.path  the password file";

/// Keys of `registry htpasswd`.
pub(crate) const HTPASSWD: &str = "\
As in: registry htpasswd -Bbn joe SECRET >> htpasswd

Keys of the configuration (registry config show --example):
  auth.htpasswd.path   the password file
  auth.htpasswd.realm  a name that clients show";

/// Keys of `registry health`.
pub(crate) const HEALTH: &str = "\
Keys of the configuration (registry config show --example):
  http.addr        listen address
  http.debug.addr  address of health and metrics without login
  health           checks besides";
