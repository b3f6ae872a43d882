use super::{Dcm, Draft, Expected, Listed, Page, Watch, WatchPosition, watch::Start};
use crate::{
    error::Error,
    keys,
    model::{Controller, ControllerInput},
    name::ControllerName,
    store::Entry,
};

const WHAT: &str = "controller";

impl Dcm {
    /// Registers a controller.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::AlreadyExists`].
    pub async fn create_controller(&self, draft: Draft<ControllerInput>) -> Result<Entry<Controller>, Error> {
        let controller = draft.check(|input, faults| input.check(None, faults))?;
        let name = controller.metadata.name.clone();
        self.create(keys::controller(&name)?, controller, (WHAT, name.as_str())).await
    }

    /// Reads a controller.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn controller(&self, name: &ControllerName) -> Result<Entry<Controller>, Error> {
        self.read(&keys::controller(name)?, (WHAT, name.as_str())).await
    }

    /// Lists controllers by name.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn controllers(&self, page: &Page) -> Result<Listed<Entry<Controller>>, Error> {
        self.page(keys::controllers()?, page).await
    }

    /// Watches all controllers.
    ///
    /// # Errors
    /// [`Error::Store`]: also where the position is too old, or another list's.
    pub async fn watch_controllers(&self, from: Option<&WatchPosition>) -> Result<Watch<Entry<Controller>>, Error> {
        let start = Start::of(self.store(), from).await?;
        self.watch_list(start, keys::controllers()?, None).await
    }

    /// Replaces a controller.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::Changed`].
    pub async fn update_controller(
        &self,
        name: &ControllerName,
        draft: Draft<ControllerInput>,
        expected: Expected<'_>,
    ) -> Result<Entry<Controller>, Error> {
        let controller = draft.check(|input, faults| input.check(Some(name), faults))?;
        let change = |_: Controller| Ok(controller.clone());
        self.change(&keys::controller(name)?, (WHAT, name.as_str()), expected, change).await
    }

    /// Deletes a controller.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Changed`].
    pub async fn delete_controller(&self, name: &ControllerName, expected: Expected<'_>) -> Result<(), Error> {
        self.erase::<Controller>(&keys::controller(name)?, (WHAT, name.as_str()), expected).await
    }
}
