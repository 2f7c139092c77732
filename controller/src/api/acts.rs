//! What people do to a record that has a number: from its id and the act to the record as it stands then.

use std::fmt::Display;
use std::str::FromStr;

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchkeep_desk::input::ActBody;

use super::ApiState;
use super::auth::Caller;
use super::extract::one;
use super::problem::Problem;

/// The number of a record that people act on.
pub(super) trait Numbered: Copy + FromStr<Err: Display> {
    /// The record as the API shows it.
    type Shown: Serialize;

    /// The record as it stands.
    ///
    /// # Errors
    /// There is none of this number.
    fn shown(self, state: &ApiState) -> impl Future<Output = Result<Self::Shown, Problem>> + Send;
}

/// A word along with an act.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Note {
    pub note: String,
}

/// Whom a record is given to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Assignment {
    /// A person's id.
    pub assignee: Option<String>,
    pub group: Option<String>,
    #[serde(default)]
    pub note: String,
}

/// Does to the record of this number what `body` says, and shows it as it stands then.
///
/// # Errors
/// `id` is no number, the record is not there, or the act is refused.
pub(super) async fn act<N: Numbered>(
    state: &ApiState,
    caller: &Caller,
    id: &str,
    body: impl FnOnce(N) -> ActBody,
) -> Result<Json<N::Shown>, Problem> {
    let number: N = one(id)?;
    state.act(caller, body(number)).await?;
    number.shown(state).await.map(Json)
}

/// Routes of acts that take a [`Note`] and nothing else: `path "noun" (operation prefix), id as field -> what is shown`, then
/// a route a line, with the act and its help.
macro_rules! noted {
    ($path:literal ($prefix:literal), $field:ident -> $shown:ty; $($name:ident $act:ident $doc:literal;)*) => {$(
        #[doc = $doc]
        #[utoipa::path(
            post,
            path = concat!("/api/v1/", $path, "/{id}/", stringify!($name)),
            tag = $path,
            operation_id = concat!($prefix, stringify!($name)),
            params(("id" = String, Path)),
            request_body = Note,
            responses((status = 200, body = Value), (status = 409, body = Problem))
        )]
        async fn $name(
            State(state): State<ApiState>,
            Extension(caller): Extension<Caller>,
            Path(id): Path<String>,
            Body(Note { note }): Body<Note>,
        ) -> Result<Json<$shown>, Problem> {
            act(&state, &caller, &id, |$field| ActBody::$act { $field, note }).await
        }
    )*};
}
pub(super) use noted;
