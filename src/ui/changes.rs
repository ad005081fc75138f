//! Rows of the audit log, in words.

use crate::registry::{Error, Registry};
use crate::report::{self, AuditItem, AuditQuery, AuditWords, Viewer};
use crate::ui::parts::{ImageName, Moment, RepositoryLabel, Text};

/// A change, or a refusal.
#[derive(Debug)]
pub struct Change {
    pub item: AuditItem,
    pub icon: &'static str,
    /// Verb behind the name of what was changed.
    pub verb: &'static str,
}

impl Change {
    pub fn of(item: AuditItem) -> Self {
        let is_move = item.former_digest.is_some();
        let (icon, verb) = match &*item.action {
            "push" => ("push", "pushed"),
            "tag" if is_move => ("moved", "moved"),
            "tag" => ("tag", "created"),
            "untag" => ("trash", "deleted"),
            "delete" => ("trash", "deleted"),
            "restore" => ("restore", "restored"),
            "token-create" => ("key", "token created"),
            "token-rotate" => ("key", "token rotated"),
            "token-revoke" => ("key", "token revoked"),
            "token-first-use" => ("key", "token used first"),
            "login-refused" => ("warning", "logins refused"),
            "login" => ("user", "logged in"),
            "logout" => ("user", "logged out"),
            "configure" => ("json", "configuration loaded"),
            _ => ("info", "changed"),
        };
        Self { item, icon, verb }
    }

    /// Returns the newest changes.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn newest(
        registry: &Registry,
        viewer: &Viewer,
        limit: usize,
    ) -> Result<Vec<Self>, Error> {
        let everything = AuditQuery::parse(AuditWords::default());
        let everything = everything.map_err(Error::Internal)?;
        let page = report::audit(registry, &everything, viewer, None, 3 * limit).await?;
        // the push of a manifest is told by its tag, and a start changes nothing
        let is_told = |item: &AuditItem| !matches!(&*item.action, "push" | "configure");
        let told = page.items.into_iter().filter(is_told);
        Ok(told.take(limit).map(Self::of).collect())
    }

    pub fn image(&self) -> Option<ImageName<'_>> {
        Some(ImageName {
            repository: self.item.repository.as_deref()?,
            tag: self.item.tag.as_deref()?,
        })
    }

    pub fn repository(&self) -> Option<RepositoryLabel<'_>> {
        self.item.repository.as_deref().map(RepositoryLabel)
    }

    pub fn who(&self) -> Option<Text> {
        self.item.who.name.as_deref().map(Text::of)
    }

    pub fn detail(&self) -> Option<Text> {
        self.item.detail.as_deref().map(Text::of)
    }

    /// Time of day.
    pub fn time(&self) -> String {
        self.item.at.to_string().chars().skip(11).take(8).collect()
    }

    pub fn at(&self) -> Moment {
        Moment(self.item.at.0)
    }
}
