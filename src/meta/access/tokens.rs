//! Tokens, and the secrets that prove them.

use rusqlite::{OptionalExtension, Row, params};

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::sqlite::reader::{PointReader, Reader};

/// A token: a name for a machine, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    pub name: String,
    /// Globs; empty if its rights are those of the access rules alone.
    pub repositories: Vec<String>,
    /// Actions, separated by commas.
    pub may: String,
    /// User whose rights it never exceeds.
    pub owner: Option<String>,
    /// Lifetime of each secret; `None` if they do not expire.
    pub lifetime: Option<Millis>,
    pub created_at: Millis,
    pub created_by: Option<String>,
    pub revoked_at: Option<Millis>,
}

/// A secret of a token, without what clients send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRow {
    /// The part that is not secret.
    pub id: String,
    /// SHA-256 of the whole secret.
    pub hash: Vec<u8>,
    pub created_at: Millis,
    pub expires_at: Option<Millis>,
    /// Time of the rotation that made another.
    pub replaced_at: Option<Millis>,
}

/// Last use of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretUse {
    pub at: Millis,
    /// Network address; `None` for a Unix socket.
    pub address: Option<String>,
}

/// A token with its secrets, for lists; the oldest first.
#[derive(Clone, Debug)]
pub struct ListedToken {
    pub token: TokenRow,
    pub secrets: Vec<(SecretRow, Option<SecretUse>)>,
}

/// Columns of a token, for [`token`].
const TOKEN: &str =
    "t.name, t.repositories, t.may, t.owner, t.lifetime, t.created_at, t.created_by, t.revoked_at";

fn token(row: &Row<'_>) -> rusqlite::Result<TokenRow> {
    let globs = row.get_ref(1)?.as_str()?;
    Ok(TokenRow {
        name: row.get(0)?,
        repositories: serde_json::from_str(globs).unwrap_or_default(),
        may: row.get(2)?,
        owner: row.get(3)?,
        lifetime: row.get(4)?,
        created_at: row.get(5)?,
        created_by: row.get(6)?,
        revoked_at: row.get(7)?,
    })
}

/// Columns of a secret, for [`secret`].
const SECRET: &str = "s.id, s.hash, s.created_at, s.expires_at, s.replaced_at";

fn secret(row: &Row<'_>, column: usize) -> rusqlite::Result<SecretRow> {
    Ok(SecretRow {
        id: row.get(column)?,
        hash: row.get(column + 1)?,
        created_at: row.get(column + 2)?,
        expires_at: row.get(column + 3)?,
        replaced_at: row.get(column + 4)?,
    })
}

impl PointReader<'_> {
    /// Returns the secret of that id, with its token.
    pub fn token_of_secret(&self, id: &str) -> Result<Option<(TokenRow, SecretRow)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {TOKEN}, {SECRET} FROM token_secrets s JOIN tokens t ON t.id = s.token_id WHERE s.id = ?1"
                ))?
                .query_row([id], |row| Ok((token(row)?, secret(row, 8)?)))
                .optional()
        })
    }

    /// Returns the token of that name, unless it was revoked.
    pub fn token(&self, name: &str) -> Result<Option<TokenRow>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {TOKEN} FROM tokens t WHERE t.name = ?1 AND t.revoked_at IS NULL"
                ))?
                .query_row([name], token)
                .optional()
        })
    }

    /// Reports whether there is a token that was not revoked.
    pub fn has_tokens(&self) -> Result<bool, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT 1 FROM tokens WHERE revoked_at IS NULL LIMIT 1")?
                .exists([])
        })
    }
}

impl Reader<'_> {
    /// Lists tokens by name, the revoked ones last.
    pub fn tokens(&self) -> Result<Vec<ListedToken>, Error> {
        let mut tokens = self.connection.prepare_cached(&format!(
            "SELECT {TOKEN}, t.id FROM tokens t ORDER BY t.revoked_at IS NOT NULL, t.name, t.id"
        ))?;
        let tokens = tokens.query_map([], |row| Ok((token(row)?, row.get::<_, i64>(8)?)))?;
        let mut listed = Vec::new();
        for found in tokens {
            let (token, id) = found?;
            let secrets = self.secrets(id)?;
            listed.push(ListedToken { token, secrets });
        }
        Ok(listed)
    }

    fn secrets(&self, token: i64) -> Result<Vec<(SecretRow, Option<SecretUse>)>, Error> {
        let mut secrets = self.connection.prepare_cached(&format!(
            "SELECT {SECRET}, s.used_at, s.used_from FROM token_secrets s WHERE s.token_id = ?1 ORDER BY s.created_at, s.id"
        ))?;
        let secrets = secrets.query_map(params![token], |row| {
            let address = row.get(6)?;
            let used_at: Option<Millis> = row.get(5)?;
            Ok((secret(row, 0)?, used_at.map(|at| SecretUse { at, address })))
        })?;
        Ok(secrets.collect::<rusqlite::Result<_>>()?)
    }
}
