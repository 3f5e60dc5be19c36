//! What encrypted connections to one address share: the authorities, read once.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use tokio_rustls::rustls::ClientConfig;

/// What all encrypted connections to an address have in common, made by the first of them. Clones
/// share it.
#[derive(Clone, Default)]
pub struct Authorities(Arc<OnceLock<Arc<ClientConfig>>>);

impl Authorities {
    /// Makes it, or gives what was made. Where that fails, the next connection tries again.
    pub(super) fn get_or_make(
        &self,
        make: impl FnOnce() -> Result<ClientConfig, String>,
    ) -> Result<Arc<ClientConfig>, String> {
        if let Some(made) = self.0.get() {
            return Ok(made.clone());
        }
        let made = Arc::new(make()?);
        Ok(self.0.get_or_init(|| made).clone())
    }
}

/// It follows from the address's other fields.
impl PartialEq for Authorities {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Authorities {}

impl fmt::Debug for Authorities {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.0.get().is_some() { "read" } else { "not read" })
    }
}
