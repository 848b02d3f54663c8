//! Names of enum values in stores, APIs, configuration and metrics.

/// Gives an enum without fields `ALL`, `as_str` and `parse`.
macro_rules! text_enum {
    ($type:ident { $($value:ident => $name:literal,)+ }) => {
        impl $type {
            /// Every value, in the order of the enum.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$value),+];

            /// Returns the name in stores, APIs and configuration.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $name,)+
                }
            }

            /// Returns the value with this name.
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|value| value.as_str() == name)
            }
        }
    };
}
pub(crate) use text_enum;
