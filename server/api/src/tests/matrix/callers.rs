//! The columns: everybody who asks, and the credential that they show.

use veilsign::capability::{Actions, Grant, Resource};

use super::{
    place::Place,
    send::{Ask, Credential},
};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// The owner, with her session.
    Owner,
    /// Without a credential.
    Nobody,
    /// A person of no team of the owner's.
    Stranger,
    /// In the owner's team, with all rights in her other project and none in this one.
    Teammate,
    /// In the owner's team, with nothing but `project:read` in this project.
    Reader,
    /// The owner, for another audience.
    WrongAudience,
    /// The owner, narrowed to her other project.
    OtherPath,
    /// The owner, narrowed to all actions but the one that is needed.
    OtherAction,
    /// An API key of the owner without the permission that is needed.
    KeyWithoutScope,
    /// An API key of the owner for her other project.
    KeyElsewhere,
    /// An API key of the stranger.
    KeyOfStranger,
    /// The owner, after she ended her sessions.
    Revoked,
    /// The owner, when her capability is over.
    Expired,
}

/// Everybody who asks at once. [`Asker::Revoked`] and [`Asker::Expired`] are for later.
pub const ASKERS: &[Asker] = &[
    Asker::Owner,
    Asker::Nobody,
    Asker::Stranger,
    Asker::Teammate,
    Asker::Reader,
    Asker::WrongAudience,
    Asker::OtherPath,
    Asker::OtherAction,
    Asker::KeyWithoutScope,
    Asker::KeyElsewhere,
    Asker::KeyOfStranger,
];

impl Asker {
    /// What a credential of this kind allows, whatever its account may: actions, and at what place.
    pub fn allowance(self, ask: &Ask, place: &Place) -> (Actions, Resource) {
        let everywhere = Resource::account();
        let needed = ask.method.access.permission.unwrap_or(Actions::NONE);
        let without =
            Actions::from_bits(Actions::ALL.bits() & !needed.bits()).expect("a part of known actions");
        match self {
            Self::OtherPath | Self::KeyElsewhere => (Actions::ALL, Resource::project(place.other)),
            Self::OtherAction | Self::KeyWithoutScope => (without, everywhere),
            _ => (Actions::ALL, everywhere),
        }
    }

    /// True when it shows an API key.
    pub fn is_key(self) -> bool {
        matches!(self, Self::KeyWithoutScope | Self::KeyElsewhere | Self::KeyOfStranger)
    }

    /// Sends what the credential is for to `then`.
    pub fn shows<'a>(self, ask: &Ask, place: &'a Place, narrowed: &'a mut Vec<u8>) -> Credential<'a> {
        let session = |person: &'a veilcloud_domain::testkit::Person| {
            Credential::Session(&person.session().capability, &person.holder)
        };
        match self {
            Self::Nobody => Credential::None,
            Self::Owner | Self::Revoked | Self::Expired => session(&place.ada),
            Self::Stranger => session(&place.bob),
            Self::Teammate => session(&place.tim),
            Self::Reader => session(&place.rita),
            Self::WrongAudience => Credential::Session(&place.misdirected, &place.ada.holder),
            Self::OtherPath | Self::OtherAction => {
                let (actions, resource) = self.allowance(ask, place);
                *narrowed = place.ada.narrowed(vec![Grant::new(resource, actions)]);
                Credential::Session(narrowed, &place.ada.holder)
            }
            Self::KeyWithoutScope => {
                let needed = ask.method.access.permission.unwrap_or(Actions::NONE);
                Credential::Key(place.lacking.get(&needed.bits()).unwrap_or(&place.lacking[&0]))
            }
            Self::KeyElsewhere => Credential::Key(&place.elsewhere),
            Self::KeyOfStranger => Credential::Key(&place.strange),
        }
    }
}
