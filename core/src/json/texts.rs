//! Anything that serializes, as JSON text.
//!
//! Its own writer, because it cannot fail: no error is carried along, which halves the code of every message. Text
//! only; a `Raw` is written as it is. Keys keep the order in which they come.

use std::fmt::Display;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::numbers;
use super::raw::RAW;
use super::write::write_string;

/// The JSON text of anything that serializes.
///
/// ```
/// use tidewire_core::ids::MutationId;
/// assert_eq!(tidewire_core::json::to_text(&MutationId(7, 1)), "[7,1]");
/// ```
pub fn to_text<T: Serialize + ?Sized>(value: &T) -> String {
    let mut out = String::new();
    write_into(value, &mut out);
    out
}

/// As [`to_text`], behind what is there.
pub fn write_into<T: Serialize + ?Sized>(value: &T, out: &mut String) {
    let Ok(()) = value.serialize(Text { out, raw: false });
}

/// Writes one value.
struct Text<'a> {
    out: &'a mut String,
    raw: bool,
}

/// Writes the parts of a list or an object.
struct Parts<'a> {
    out: &'a mut String,
    close: &'static str,
    first: bool,
}

/// Text can always be written; a type that says it cannot be serialized does not belong here.
#[derive(Debug)]
enum Never {}

impl Display for Never {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {}
    }
}

impl std::error::Error for Never {}

impl serde::ser::Error for Never {
    fn custom<T: Display>(_: T) -> Self {
        unreachable!("no type of the core refuses to be written")
    }
}

impl<'a> Text<'a> {
    fn put(self, text: &str) -> Result<(), Never> {
        self.out.push_str(text);
        Ok(())
    }

    fn open(self, open: &str, close: &'static str) -> Result<Parts<'a>, Never> {
        self.out.push_str(open);
        Ok(Parts { out: self.out, close, first: true })
    }

    /// `{"Variant":` and what closes it behind the value.
    fn variant(self, variant: &str, open: &str, close: &'static str) -> Result<Parts<'a>, Never> {
        self.out.push('{');
        write_string(variant, self.out);
        self.out.push(':');
        self.open(open, close)
    }
}

impl Parts<'_> {
    #[inline(never)]
    fn comma(&mut self) {
        if !self.first {
            self.out.push(',');
        }
        self.first = false;
    }

    #[inline(never)]
    fn key(&mut self, key: &str) {
        self.comma();
        write_string(key, self.out);
        self.out.push(':');
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) {
        self.comma();
        write_into(value, self.out);
    }

    fn finish(self) -> Result<(), Never> {
        self.out.push_str(self.close);
        Ok(())
    }
}

macro_rules! numbers {
    ($($name:ident $type:ty),*) => {
        $(
            #[expect(clippy::allow_attributes, reason = "for some of the types the casts lose nothing")]
            #[allow(clippy::cast_lossless, clippy::cast_precision_loss, reason = "what JavaScript would hold")]
            fn $name(self, value: $type) -> Result<(), Never> {
                numbers::write(value as f64, self.out);
                Ok(())
            }
        )*
    };
}

impl<'a> Serializer for Text<'a> {
    type Ok = ();
    type Error = Never;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    numbers!(serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64, serialize_u8 u8,
        serialize_u16 u16, serialize_u32 u32, serialize_u64 u64, serialize_f32 f32, serialize_f64 f64);

    fn serialize_bool(self, yes: bool) -> Result<(), Never> {
        self.put(if yes { "true" } else { "false" })
    }

    fn serialize_char(self, c: char) -> Result<(), Never> {
        self.serialize_str(c.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<(), Never> {
        if self.raw {
            return self.put(text);
        }
        write_string(text, self.out);
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Never> {
        bytes.serialize(self)
    }

    fn serialize_none(self) -> Result<(), Never> {
        self.put("null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Never> {
        self.put("null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Never> {
        self.put("null")
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Never> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<(), Never> {
        value.serialize(Text { raw: name == RAW, ..self })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Never> {
        let parts = self.variant(variant, "", "}")?;
        write_into(value, parts.out);
        parts.finish()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>, Never> {
        self.open("[", "]")
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'a>, Never> {
        self.open("[", "]")
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Never> {
        self.open("[", "]")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Never> {
        self.variant(variant, "[", "]}")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'a>, Never> {
        self.open("{", "}")
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Never> {
        self.open("{", "}")
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Never> {
        self.variant(variant, "{", "}}")
    }
}

macro_rules! lists {
    ($($of:ident $add:ident),*) => {
        $(impl $of for Parts<'_> {
            type Ok = ();
            type Error = Never;

            fn $add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
                self.item(value);
                Ok(())
            }

            fn end(self) -> Result<(), Never> {
                self.finish()
            }
        })*
    };
}

lists!(SerializeSeq serialize_element, SerializeTuple serialize_element, SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field);

macro_rules! structs {
    ($($of:ident),*) => {
        $(impl $of for Parts<'_> {
            type Ok = ();
            type Error = Never;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Never> {
                self.key(key);
                write_into(value, self.out);
                Ok(())
            }

            fn end(self) -> Result<(), Never> {
                self.finish()
            }
        })*
    };
}

structs!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Never;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Never> {
        self.comma();
        let start = self.out.len();
        write_into(key, self.out);
        // Whole numbers are keys too; in JSON a key is a text.
        if self.out.as_bytes().get(start) != Some(&b'"') {
            self.out.insert(start, '"');
            self.out.push('"');
        }
        self.out.push(':');
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        write_into(value, self.out);
        Ok(())
    }

    fn end(self) -> Result<(), Never> {
        self.finish()
    }
}
