//! Accounts of the system, by their numbers.

/// Returns the name of the account, or `uid N` if it has none.
pub(crate) fn name_of(uid: u32) -> String {
    uzers::get_user_by_uid(uid).map_or_else(
        || format!("uid {uid}"),
        |account| account.name().to_string_lossy().into_owned(),
    )
}
