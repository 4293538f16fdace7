"""The arguments and options that the commands about templates share."""

from typing import Annotated, Literal

import typer

from workers.core.kinds import Channel, MessageKind
from workers.core.payload import Locale

KindArgument = Annotated[MessageKind, typer.Argument(help="The kind of message.")]
ChannelOption = Annotated[Channel, typer.Option(help="How it is sent.")]
LocaleOption = Annotated[Locale, typer.Option(help="In which language.")]
SubjectOption = Annotated[str | None, typer.Option(help="Of a mail; the title of a push.")]
TextOption = Annotated[str | None, typer.Option("--text", help="A file with the text; - is stdin.")]
HtmlOption = Annotated[
    str | None,
    typer.Option("--html", help="A file with the HTML of a mail; without one the text is shown as HTML."),
]
ContentSidOption = Annotated[
    str | None, typer.Option("--content-sid", help="WhatsApp: the approved template at Twilio (HX…).")
]
PartOption = Annotated[
    Literal["subject", "text", "html"] | None, typer.Option(help="Only this part, as it is.")
]
ShippedFlag = Annotated[bool, typer.Option("--shipped", help="The words that ship, whatever yours are.")]
