//! Names of enum values in stores, APIs, configuration and metrics: strum derives them from the variants.
//!
//! [`text_enum`] wraps strum's traits in methods, so that other crates need not import the traits.

/// Gives enums that derive `EnumString`, `IntoStaticStr` and `VariantArray` the methods `ALL`, `as_str` and `parse`.
macro_rules! text_enum {
    ($($enum:ty),+) => {$(
        impl $enum {
            /// Every value, in the order of the enum.
            pub const ALL: [Self; <Self as strum::VariantArray>::VARIANTS.len()] =
                $crate::text_enum::to_array(<Self as strum::VariantArray>::VARIANTS);

            /// Returns the name in stores, APIs and configuration.
            pub fn as_str(self) -> &'static str {
                self.into()
            }

            /// Returns the value with this name.
            pub fn parse(name: &str) -> Option<Self> {
                name.parse().ok()
            }
        }
    )+};
}
pub(crate) use text_enum;

/// Copies a slice of the length `N` into an array, at compile time.
pub(crate) const fn to_array<T: Copy, const N: usize>(items: &[T]) -> [T; N] {
    let mut array = [items[0]; N];
    let mut index = 1;
    while index < N {
        array[index] = items[index];
        index += 1;
    }
    array
}
