//! Rights in a repository, and the roles that stand for sets of them.

use std::fmt;
use std::ops::{BitAnd, BitOr};

/// Set of rights in a repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights(u8);

impl Rights {
    pub const NONE: Self = Self(0);
    /// Read content, lists and history.
    pub const PULL: Self = Self(1);
    /// Push blobs, manifests and tags that do not exist.
    pub const CREATE: Self = Self(1 << 1);
    /// Push blobs and manifests, and move tags that exist.
    pub const UPDATE: Self = Self(1 << 2);
    /// Delete and restore.
    pub const DELETE: Self = Self(1 << 3);
    /// Everything, administration included.
    pub const ALL: Self = Self(0b1_1111);

    /// Words of the configuration: actions, and roles, each of which holds those before it.
    const WORDS: [(&'static str, Self); 7] = [
        ("pull", Self::PULL),
        ("create", Self::CREATE),
        ("update", Self::UPDATE),
        ("delete", Self::DELETE),
        ("push", Self(0b0_0111)),
        ("maintain", Self(0b0_1111)),
        ("admin", Self::ALL),
    ];

    /// Parses an action or a role.
    ///
    /// # Errors
    /// A sentence that names the words.
    pub fn parse(word: &str) -> Result<Self, String> {
        let found = Self::WORDS.iter().find(|(name, _)| *name == word.trim());
        found.map(|(_, rights)| *rights).ok_or_else(|| {
            format!(
                "'{word}' is neither an action (pull, create, update, delete) nor a role (pull, push, maintain, admin)"
            )
        })
    }

    /// Reports whether all of `others` are in the set.
    pub fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Reports whether any of `others` is in the set.
    pub fn intersects(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }
}

impl BitOr for Rights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Rights {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// Formats the actions: `pull, create`. Every right is `admin`, no right is `nothing`.
impl fmt::Display for Rights {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NONE => return formatter.write_str("nothing"),
            Self::ALL => return formatter.write_str("admin"),
            _ => {}
        }
        let actions = Self::WORDS.iter().take(4);
        let mut held = actions.filter(|(_, right)| self.contains(*right));
        if let Some((first, _)) = held.next() {
            formatter.write_str(first)?;
        }
        held.try_for_each(|(action, _)| write!(formatter, ", {action}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_holds_the_one_before() {
        let roles = ["pull", "push", "maintain", "admin"].map(|word| Rights::parse(word).unwrap());
        for (smaller, larger) in roles.iter().zip(&roles[1..]) {
            assert!(larger.contains(*smaller) && smaller != larger);
        }
        assert!(Rights::parse("write").is_err());
        assert_eq!(Rights::parse(" create"), Ok(Rights::CREATE));
    }

    #[test]
    fn rights_are_shown_as_actions() {
        let shown = |word: &str| Rights::parse(word).unwrap().to_string();
        assert_eq!(shown("push"), "pull, create, update");
        assert_eq!(shown("admin"), "admin");
        assert_eq!(Rights::NONE.to_string(), "nothing");
    }
}
