"""What the helper says to the person, in both languages."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Language = Literal["vi", "en"]


class Text(NamedTuple):
    """One sentence; values that it names stand in braces."""

    vi: str
    en: str

    def say(self, language: Language, **values: object) -> str:
        """The sentence in a language."""
        sentence = self.vi if language == "vi" else self.en
        return sentence.format(**values) if values else sentence


KINDS: Final = {
    "pdf": Text("chữ ký trong tệp PDF", "a signature inside a PDF"),
    "package": Text("chữ ký gói tin edXML", "the signature of an edXML package"),
}

TEXTS: Final = {
    "title": Text("Ký số văn bản", "Signing a document"),
    "pair": Text(
        "Trang {origin} xin ghép nối với trình ký số. Chỉ nhập mã này vào chính trang đó, nếu bạn vừa yêu cầu: {code}",
        "The page {origin} asks to be paired with the signing helper. If you have just asked for it, type this code "
        "into that very page: {code}",
    ),
    "asks": Text("Trang {origin} xin ký:", "The page {origin} asks for a signature:"),
    "says": Text("  theo lời trang ấy: {description}", "  it says:        {description}"),
    "kind": Text("  nội dung:          {kind}", "  content:        {kind}"),
    "digest": Text("  mã băm văn bản:    {digest}", "  document's hash: {digest}"),
    "holder": Text("  chứng thư:         {holder} ({end})", "  certificate:    {holder} ({end})"),
    "date": Text("hết hạn {date}", "ends {date}"),
    "pin": Text(
        "Nhập PIN để ký, để trống và Enter để từ chối (trong {seconds} giây):",
        "Type the PIN to sign, nothing and Enter to decline (within {seconds} seconds):",
    ),
    "yes": Text(
        "Gõ “ky” và Enter để ký, chỉ Enter để từ chối (trong {seconds} giây):",
        "Type “sign” and Enter to sign, Enter alone to decline (within {seconds} seconds):",
    ),
    "button.sign": Text("Ký", "Sign"),
    "button.decline": Text("Từ chối", "Decline"),
    "button.close": Text("Đóng", "Close"),
    "field.pin": Text("PIN:", "PIN:"),
}


def say(key: str, language: Language, **values: object) -> str:
    """The sentence of a key; an unknown key is a fault of the program."""
    return TEXTS[key].say(language, **values)
