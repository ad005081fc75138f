//! `registry token ls`.

use serde_json::json;
use tarkeep::report::{self, TokenItem, Tokens};

use super::arguments::ListArguments;
use crate::cli::error::Error;
use crate::cli::from_config::known_users;
use crate::cli::place::RemoteList;
use crate::cli::store::Store;
use crate::cli::terminal::list::List;
use crate::cli::terminal::output::{self, Format};
use crate::cli::terminal::table::{Cell, Column};

const COLUMNS: [Column; 9] = [
    Column::name("NAME"),
    Column::fixed("STATE"),
    Column::text("REPOSITORIES"),
    Column::text("MAY"),
    Column::text("FOR"),
    Column::fixed("EXPIRES"),
    Column::fixed("FORMER UNTIL"),
    Column::fixed("LAST USED"),
    Column::text("FROM"),
];

pub(super) async fn list(arguments: ListArguments) -> Result<(), Error> {
    let format = arguments.output.format;
    let which = match arguments.all {
        true => Tokens::All,
        false => Tokens::Unrevoked,
    };
    let tokens = match arguments.place.server()? {
        Some(remote) => {
            let mut tokens = RemoteList::new(&remote, "tokens", "tokens");
            tokens.parameters = vec![("all", arguments.all.to_string())];
            tokens.all().await?
        }
        None => local(arguments.place.store, which).await?,
    };
    if format == Format::Text && tokens.is_empty() {
        return output::say("there is no token: registry token create makes one");
    }
    let mut list = List::begin(format, "tokens", &COLUMNS)?;
    for token in &tokens {
        list.push(|| cells(token), || json!(token))?;
    }
    list.finish()
}

/// Lists the tokens of a store.
async fn local(store: Store, which: Tokens) -> Result<Vec<TokenItem>, Error> {
    let configuration = store.server_configuration();
    let users = configuration.and_then(|config| known_users::names(&config));
    let registry = store.open().await?;
    Ok(report::tokens(&registry, which, users.as_ref()).await?)
}

fn cells(token: &TokenItem) -> Vec<Cell> {
    vec![
        (&*token.name).into(),
        (&*token.state).into(),
        token.repositories.join(", ").into(),
        token.may.join(", ").into(),
        token.user.as_deref().into(),
        token.expires.into(),
        token.former_expires.into(),
        token.used.into(),
        token.used_from.as_deref().into(),
    ]
}
