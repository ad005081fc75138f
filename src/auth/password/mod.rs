//! Method `htpasswd`: users and bcrypt hashes in a file, as in distribution's `registry/auth/htpasswd`.

mod basic;
mod bcrypt_hash;
mod bcrypt_pool;
pub(super) mod cache;
mod fair_queue;
mod htpasswd;
pub(super) mod htpasswd_file;
mod users;

pub(super) use basic::Credentials;
pub use basic::text as user_name;
pub use bcrypt_hash::{BcryptHash, DEFAULT_COST, MAX_COST, MIN_COST};
pub(super) use htpasswd::Htpasswd;
pub use htpasswd::Settings as HtpasswdSettings;
pub use users::{Entry, UserError, entries};
