//! Changes of tokens: made, rotated, revoked, used.

use rusqlite::{OptionalExtension, params};

use super::tokens::{SecretRow, SecretUse, TokenRow};
use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::sqlite::writer::WriteTx;

impl WriteTx<'_> {
    /// Inserts a token with its first secret. Its name must be free.
    pub fn insert_token(&self, token: &TokenRow, secret: &SecretRow) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO tokens (name, repositories, may, owner, lifetime, created_at, created_by)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                token.name,
                serde_json::json!(token.repositories).to_string(),
                token.may,
                token.owner,
                token.lifetime,
                token.created_at,
                token.created_by
            ])?;
        self.insert_secret(self.connection.last_insert_rowid(), secret)
    }

    fn insert_secret(&self, token: i64, secret: &SecretRow) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO token_secrets (id, token_id, hash, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                secret.id,
                token,
                secret.hash,
                secret.created_at,
                secret.expires_at
            ])?;
        Ok(())
    }

    /// Adds a secret to a token; returns the end of its others, which is `until` at the latest. `None` if there is no such token.
    pub fn rotate_token(
        &self,
        name: &str,
        lifetime: Option<Millis>,
        secret: &SecretRow,
        until: Millis,
    ) -> Result<Option<Millis>, Error> {
        let Some(token) = self.token_id(name)? else {
            return Ok(None);
        };
        self.connection
            .prepare_cached("UPDATE tokens SET lifetime = ?2 WHERE id = ?1")?
            .execute(params![token, lifetime])?;
        self.connection
            .prepare_cached(
                "UPDATE token_secrets SET expires_at = min(coalesce(expires_at, ?2), ?2),
                     replaced_at = coalesce(replaced_at, ?3) WHERE token_id = ?1",
            )?
            .execute(params![token, until, secret.created_at])?;
        let former_end = self
            .connection
            .prepare_cached("SELECT max(expires_at) FROM token_secrets WHERE token_id = ?1")?
            .query_row([token], |row| row.get(0))?;
        self.insert_secret(token, secret)?;
        Ok(former_end)
    }

    /// Revokes a token with all its secrets. False if there is no such token.
    pub fn revoke_token(&self, name: &str, now: Millis) -> Result<bool, Error> {
        let Some(token) = self.token_id(name)? else {
            return Ok(false);
        };
        self.connection
            .prepare_cached("UPDATE tokens SET revoked_at = ?2 WHERE id = ?1")?
            .execute(params![token, now])?;
        Ok(true)
    }

    fn token_id(&self, name: &str) -> Result<Option<i64>, Error> {
        Ok(self
            .connection
            .prepare_cached("SELECT id FROM tokens WHERE name = ?1 AND revoked_at IS NULL")?
            .query_row([name], |row| row.get(0))
            .optional()?)
    }

    /// Forgets tokens that were revoked before `cutoff`, and secrets that expired before it, but the last of each token.
    pub fn forget_old_tokens(&self, cutoff: Millis) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "DELETE FROM token_secrets WHERE expires_at < ?1 AND replaced_at IS NOT NULL
                 OR token_id IN (SELECT id FROM tokens WHERE revoked_at < ?1)",
            )?
            .execute([cutoff])?;
        self.connection
            .prepare_cached("DELETE FROM tokens WHERE revoked_at < ?1")?
            .execute([cutoff])?;
        Ok(())
    }

    /// Reports whether a secret is there and was never used.
    pub fn is_unused(&self, id: &str) -> Result<bool, Error> {
        Ok(self
            .connection
            .prepare_cached("SELECT 1 FROM token_secrets WHERE id = ?1 AND used_at IS NULL")?
            .exists([id])?)
    }

    /// Records the last use of a secret.
    pub fn record_secret_use(&self, id: &str, last: &SecretUse) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE token_secrets SET used_at = ?2, used_from = ?3 WHERE id = ?1 AND coalesce(used_at, 0) <= ?2",
            )?
            .execute(params![id, last.at, last.address])?;
        Ok(())
    }
}
