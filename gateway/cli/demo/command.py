"""``gateway demo``: three gateways, the agencies around them, and what happens between."""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click

from gateway.cli import exits
from gateway.cli.command import command, option
from gateway.cli.demo.judge import Line, lines, missing, standing
from gateway.cli.demo.mail import DEPARTMENT, FINANCE, Dispatch, drafts
from gateway.cli.demo.patience import AT_MOST_SECONDS, STILL_SECONDS, Patience
from gateway.cli.demo.places import GATEWAYS, LGSP_SYSTEM, Places, set_up
from gateway.cli.demo.processes import Children
from gateway.cli.demo.proof import Judged, Proof, at_their_own, in_words, judged, not_judged, prove
from gateway.cli.demo.samples import sample_dispatches, samples_folder
from gateway.cli.demo.screen import Screen
from gateway.cli.demo.systems import LgspSystem, MailboxSystem, Post, PushedSystem, Reporter, System
from gateway.cli.demo.watch import Watch
from gateway.cli.shell import Shell, plain
from gateway.cli.words import Text
from gateway.clock import utc_now
from gateway.delivery.agency import AgencyClient, AgencySettings
from gateway.directory import Directory, LocalSite
from gateway.errors import DeliveryError, OperatorError, PeerRefused, SettingsInvalid
from gateway.model import VIETNAM_TIME, Channel, FileStanding

_LONG_SECONDS = 60
"""A demonstration that takes longer says so: the machine is slow, or something is wrong."""
_PAUSE_SECONDS = 0.25
_FINANCE_REFUSES = "Nội dung không thuộc thẩm quyền của Sở Tài chính"


@command(
    "demo",
    Text(
        """Trình diễn: trục Lạng Sơn, trục Lào Cai và trục quốc gia (mô phỏng) chạy thật trên máy này, nối với nhau theo
giao thức VXP; các cơ quan ký, gửi, nhận, từ chối, báo trạng thái, một xã theo giao thức LGSP.
Các trục xét chữ ký trong tệp; cuối cùng, bằng chứng về một văn bản và nhật ký được kiểm tra.
Chạy đến khi nhấn Ctrl-C; --once: kết thúc khi mọi văn bản đã tới và mọi trạng thái đã về (mã 0),
hoặc nêu tên những gì còn thiếu (mã 1).""",
        """A demonstration: gateways of Lạng Sơn and Lào Cai and one that plays the national axis run here as real
processes, joined by VXP; agencies sign, send, receive, refuse and report, one commune by LGSP.
The gateways judge the signatures in the files; at the end one document's evidence and the log are checked.
Runs until Ctrl-C; --once ends when every document has arrived and every status is back (0), or names what is
missing (1).""",
    ),
    examples=Text(
        """\
gateway demo
gateway demo --once
gateway demo --keep /tmp/demo --port-base 8100     # giữ thư mục, nhật ký, cơ sở dữ liệu để xem""",
        """\
gateway demo
gateway demo --once
gateway demo --keep /tmp/demo --port-base 8100     # keep folder, logs and databases to look at""",
    ),
)
@option("--once", is_flag=True, words=Text("Kết thúc khi xong.", "End when all is done."))
@option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    words=Text("Dùng và giữ lại thư mục này.", "Use this folder, and keep it."),
)
@option(
    "--port-base",
    type=click.IntRange(1024, 65000),
    words=Text("Dùng bốn cổng từ số này; mặc định cổng trống bất kỳ.", "Four ports from here; by default any free."),
)
@option(
    "--samples",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    words=Text("Thư mục gói tin mẫu của trục quốc gia.", "Folder with the national kit's sample packages."),
)
@option(
    "--without",
    type=click.Choice([*GATEWAYS]),
    multiple=True,
    hidden=True,
    words=Text("Không chạy trục này.", "Do not start this gateway."),
)
@option(
    "--patience",
    "still",
    type=click.FloatRange(5, AT_MOST_SECONDS),
    default=STILL_SECONDS,
    hidden=True,
    words=Text("Số giây không có gì chuyển động thì thôi chờ.", "Seconds without any movement that end the waiting."),
)
def demo(
    shell: Shell,
    *,
    once: bool,
    keep: Path | None,
    port_base: int | None,
    samples: Path | None,
    without: tuple[str, ...],
    still: float,
) -> int:
    """Show it."""
    patience = Patience(still=still)
    with _interruptible(), _folder(keep) as (folder, hold):
        (folder / "logs").mkdir()
        with Children(folder / "logs") as children:
            try:
                # However short one waits for documents, programs take their time to start.
                starting = Patience(still=max(still, STILL_SECONDS))
                show = _start(shell, folder, children, port_base=port_base, without=without, patience=starting)
            except OperatorError:
                hold()
                _tails(shell, children)
                raise
            with show:
                return _play(shell, show, samples=samples, once=once, patience=patience, hold=hold)


@contextmanager
def _interruptible() -> Iterator[None]:
    """
    SIGTERM and SIGINT end the demo in order: its processes are stopped, its folder is removed.

    Set explicitly, because a shell starts background jobs with SIGINT ignored.
    """
    previous = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _folder(keep: Path | None) -> Iterator[tuple[Path, _Hold]]:
    """A folder for everything; goes away at the end unless it was asked for or something failed."""
    hold = _Hold()
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise SettingsInvalid(f"{keep} is not empty; the demo starts in a new folder.")
        yield keep.resolve(), hold
        return
    folder = Path(tempfile.mkdtemp(prefix="gateway-demo-"))
    try:
        yield folder, hold
    finally:
        if not hold.held:
            shutil.rmtree(folder, ignore_errors=True)


class _Hold:
    """Whether the folder is still needed."""

    def __init__(self) -> None:
        self.held = False

    def __call__(self) -> None:
        self.held = True


# Processes and systems


@dataclass
class _Show:
    """Everything that runs; a context manager that stops the agencies' systems."""

    places: Places
    directory: Directory
    children: Children
    watch: Watch
    post: Post
    stop: threading.Event
    systems: Sequence[System]
    dispatches: list[Dispatch] = field(default_factory=list)

    def __enter__(self) -> _Show:
        for system in self.systems:
            system.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for system in self.systems:
            system.join(timeout=5)
        self.watch.close()

    def table(self) -> list[Line]:
        """As things stand."""
        rows = {d.posted_id: self.watch.deliveries(d.at, d.posted_id) for d in self.dispatches if d.posted_id}
        return lines(self.dispatches, rows, self.post.all(), self.directory)

    def judged(self) -> list[Judged]:
        """What the gateways have found in the files."""
        return judged(self.dispatches, self.watch, self.places.gateways)

    def standing(self, table: Sequence[Line], found: Sequence[Judged]) -> object:
        """Where everything is, for comparison."""
        examined = sum(one.verdict is not None for one in found)
        return examined, standing(self.dispatches, table, self.watch.unfinished(), self.post.all())

    def missing(self, table: Sequence[Line], found: Sequence[Judged]) -> list[Text]:
        """What is not yet as it must be."""
        titles = self.titles
        lost = missing(self.dispatches, table, self.watch.unfinished(), self.post.all(), titles)
        return [*lost, *not_judged(found, titles)]

    @property
    def titles(self) -> Mapping[str, str]:
        """Name → what a gateway is called on the screen."""
        return {name: gateway.title for name, gateway in self.places.gateways.items()}


def _start(
    shell: Shell, folder: Path, children: Children, *, port_base: int | None, without: Sequence[str], patience: Patience
) -> _Show:
    shell.say(Text("Lập ba trục trong {folder} …", "Setting up three gateways in {folder} …"), folder=folder)
    places = set_up(folder, now=utc_now(), port_base=port_base)
    patience.see("set up")
    inbound = folder / "so-khcn"
    ready = {"receiver": (places.receiver_port, "/")}
    receiver = [str(places.receiver_port), str(places.push_secret), str(inbound)]
    for name, gateway in places.gateways.items():
        if name not in without:
            children.start(name, ["gateway", "--config", str(gateway.config), "serve"])
            ready[name] = (gateway.port, "/readyz")
    children.start("receiver", ["gateway.cli.demo.receiver", *receiver])
    children.wait_ready(ready, patience)
    for gateway in places.gateways.values():
        shell.say(Text("{title}: {url}", "{title}: {url}"), title=gateway.title, url=gateway.url)
    national = places.gateways["national"].settings.gateway.code
    directory = Directory(places.catalogue, LocalSite(code=national, first_levels=frozenset()))
    stop, post = threading.Event(), Post()
    return _Show(
        places=places,
        directory=directory,
        children=children,
        watch=Watch(places.gateways, directory),
        post=post,
        stop=stop,
        systems=_systems(places, post, stop, inbound, without),
    )


def _systems(places: Places, post: Post, stop: threading.Event, inbound: Path, without: Sequence[str]) -> list[System]:
    """A system for every mailbox, and the department's."""
    found: list[System] = []
    for name, gateway in places.gateways.items():
        if name in without:
            continue
        for agency in places.agencies[name]:
            if agency.endpoint is None or agency.endpoint.channel.is_gateway:
                continue
            if agency.code in places.collected_by_gateways.get(name, ()):
                continue
            reporter = Reporter(holder=agency.code, name=agency.name, codes=frozenset(agency.codes), clock=utc_now)
            if agency.code == LGSP_SYSTEM:
                found.append(
                    LgspSystem(
                        agency.code,
                        post,
                        places.folder / name / f"inbox-{agency.code}",
                        stop,
                        url=f"{gateway.url}/lgsp",
                        system=LGSP_SYSTEM,
                        secret=gateway.secrets[LGSP_SYSTEM],
                        reporter=reporter,
                    )
                )
            elif agency.endpoint.channel is Channel.PUSH:
                found.append(
                    PushedSystem(
                        agency.code,
                        post,
                        inbound,
                        stop,
                        url=gateway.url,
                        key=gateway.keys[agency.code],
                        signing=places.offices["department"].seal,
                        reporter=reporter,
                    )
                )
            else:
                found.append(
                    MailboxSystem(
                        agency.code,
                        post,
                        places.folder / name / f"inbox-{agency.code}",
                        stop,
                        url=gateway.url,
                        key=gateway.keys[agency.code],
                        refuses={FINANCE: _FINANCE_REFUSES},
                    )
                )
    return found


# What is played


def _play(shell: Shell, show: _Show, *, samples: Path | None, once: bool, patience: Patience, hold: _Hold) -> int:
    folder = samples_folder(samples)
    if folder is None:
        shell.say(
            Text(
                "Không có gói tin mẫu của trục quốc gia (GATEWAY_SAMPLES); chỉ gửi gói tin tự tạo.",
                "The national kit's samples are not here (GATEWAY_SAMPLES); only own packages are sent.",
            )
        )
    with Screen(shell, show.watch) as screen:
        for act in _acts(show, folder):
            for dispatch in act:
                _post(show, dispatch)
                screen.update(show.watch.steps(), show.table(), at_their_own(show.judged()))
            if not _done_in_time(show, screen, patience):
                break
    table, found = show.table(), show.judged()
    left = show.missing(table, found)
    shell.console().print(screen.table(table, at_their_own(found)))
    _refusals(shell, show.dispatches)
    for sentence in in_words(found, show.titles):
        shell.say(Text("Trong tệp: {words}", "In the file: {words}"), words=sentence.say(shell.language))
    if not left:
        left = _prove(shell, show)
    if left:
        hold()
        _failed(shell, show, left, patience)
    else:
        shell.say(
            Text(
                "Xong sau {seconds} giây: {n} gói tin; mọi văn bản đã tới, mọi trạng thái đã về nơi gửi.",
                "Done in {seconds} s: {n} packages; every document has arrived, every status is back at its sender.",
            ),
            n=len(show.dispatches),
            seconds=round(patience.elapsed),
        )
        if patience.elapsed > _LONG_SECONDS:
            shell.say(
                Text(
                    "Lâu hơn 60 giây: máy này chậm, hoặc đang bận việc khác.",
                    "That is more than 60 s: this machine is slow, or busy with other things.",
                )
            )
    if not once:
        _stay(shell, show)
    return exits.FAILED if left else exits.DONE


def _acts(show: _Show, folder: Path | None) -> Iterator[list[Dispatch]]:
    """What is sent together; the next act waits until this one is done."""
    outbox = show.places.folder / "outbox"
    outbox.mkdir()
    names = {str(agency.code): agency.name for agency in show.places.catalogue}
    today = utc_now().astimezone(VIETNAM_TIME).date()
    own = [draft.dispatch(outbox, show.places.offices, at=utc_now()) for draft in drafts(names, today=today)]
    kit = sample_dispatches(folder, show.directory, spool=outbox) if folder else []
    yield own + [d for d in kit if not d.is_status]
    # The kit's statuses report on its documents: they would be refused a meaning before those have arrived.
    yield [d for d in kit if d.is_status]


def _post(show: _Show, dispatch: Dispatch) -> None:
    show.dispatches.append(dispatch)
    gateway = show.places.gateways[dispatch.at]
    for system in show.systems:
        if isinstance(system, LgspSystem) and system.holder == dispatch.by:
            _hand_over(dispatch, system.send)
            return
    key = gateway.keys.get(dispatch.by)
    if key is None:
        dispatch.refused_with = "no key"
        return
    with AgencyClient(AgencySettings(url=gateway.url, key=key, connect_timeout_seconds=3)) as client:
        _hand_over(dispatch, lambda package: str(client.post_document(package)["id"]))


def _hand_over(dispatch: Dispatch, send: Callable[[Path], str]) -> None:
    try:
        dispatch.posted_id = send(dispatch.package)
    except PeerRefused as error:
        dispatch.refused_with = error.peer_code or error.code
    except DeliveryError as error:
        dispatch.refused_with = error.code


def _done_in_time(show: _Show, screen: Screen, patience: Patience) -> bool:
    """Watch until nothing is missing, or nothing moves any more."""
    while True:
        table, found = show.table(), show.judged()
        screen.update(show.watch.steps(), table, at_their_own(found))
        if not show.missing(table, found):
            return True
        patience.see(show.standing(table, found))
        if patience.over:
            return False
        time.sleep(_PAUSE_SECONDS)


# What is told at the end


def _prove(shell: Shell, show: _Show) -> list[Text]:
    """Have one document's evidence and the log checked; what does not hold."""
    signed = next(d for d in show.dispatches if d.at == "langson" and d.main_file is FileStanding.VALID)
    try:
        proof = prove(show.places, show.watch, signed, language=shell.language)
    except DeliveryError as error:
        return [Text(f"Bằng chứng của {signed.name}: {error.code}", f"Evidence of {signed.name}: {error.code}")]
    _told(shell, show, signed, proof)
    return [
        Text(f"Không chứng minh được {signed.name}: {problem}", f"{signed.name} is not proven: {problem}")
        for problem in proof.problems
    ]


def _told(shell: Shell, show: _Show, signed: Dispatch, proof: Proof) -> None:
    shell.say(
        Text(
            "Bằng chứng về {name} → gateway verify {file} --anchor {root}: {said}",
            "Evidence on {name} → gateway verify {file} --anchor {root}: {said}",
        ),
        name=signed.name,
        file=proof.evidence.name,
        root=show.places.root.name,
        said=proof.said,
    )
    title = show.titles[signed.at]
    shell.say(
        Text("{title} → gateway log verify: {said}", "{title} → gateway log verify: {said}"),
        title=title,
        said=proof.log,
    )


def _refusals(shell: Shell, dispatches: Sequence[Dispatch]) -> None:
    for dispatch in dispatches:
        if dispatch.refusal is not None and dispatch.refused_with == dispatch.refusal:
            shell.say(
                Text("Bị từ chối đúng như phải thế: {name} ({code})", "Refused, as it must be: {name} ({code})"),
                name=dispatch.name,
                code=dispatch.refused_with,
            )


def _failed(shell: Shell, show: _Show, left: Sequence[Text], patience: Patience) -> None:
    click.echo(
        shell.words(
            Text(
                "Thôi chờ sau {seconds} giây: {still} giây liền không có gì chuyển động, hoặc đã quá {most} giây.",
                "Given up after {seconds} s: nothing has moved for {still} s, or {most} s are over.",
            ),
            seconds=round(patience.elapsed),
            still=round(patience.still),
            most=round(AT_MOST_SECONDS),
        ),
        err=True,
    )
    click.echo(shell.words(Text("CÒN THIẾU:", "MISSING:")), err=True)
    for text in left:
        click.echo(f"  - {plain(text.say(shell.language))}", err=True)
    for problem in show.post.problems[-5:]:
        click.echo(f"  ! {plain(problem)}", err=True)
    _tails(shell, show.children)


def _tails(shell: Shell, children: Children) -> None:
    click.echo(
        shell.words(
            Text("Nhật ký của các tiến trình: {folder}", "Logs of the processes: {folder}"), folder=children.folder
        ),
        err=True,
    )
    for name in children.processes:
        click.echo(f"--- {name}", err=True)
        for line in children.tail(name):
            click.echo(f"    {plain(line)}", err=True)


def _stay(shell: Shell, show: _Show) -> None:
    """Tell where everything is, and stay up until Ctrl-C."""
    for gateway in show.places.gateways.values():
        click.echo(
            shell.words(
                Text(
                    "{title}: trang điều hành {url}/console  tài khoản admin  mật khẩu {password}  · API {url}/docs",
                    "{title}: console {url}/console  login admin  password {password}  · API {url}/docs",
                ),
                title=gateway.title,
                url=gateway.url,
                password=gateway.password or "",
            )
        )
    langson = show.places.gateways["langson"]
    key_file = show.places.folder / "langson" / f"{DEPARTMENT}.apikey"
    click.echo(
        shell.words(
            Text("Gửi thử: {command}", "Send one yourself: {command}"),
            command=f"gateway send PACKAGE.edxml --url {langson.url} --key-file {key_file}",
        )
    )
    for evidence in sorted(show.places.folder.glob("*.asice")):
        click.echo(
            shell.words(
                Text(
                    "Kiểm tra bằng chứng, không cần trục: {command}", "Check the evidence, without a gateway: {command}"
                ),
                command=f"gateway verify {evidence} --anchor {show.places.root}",
            )
        )
    click.echo(shell.words(Text("Nhấn Ctrl-C để kết thúc.", "Press Ctrl-C to end.")))
    try:
        while not show.stop.wait(3600):
            pass
    except KeyboardInterrupt:
        click.echo(shell.words(Text("Đang dừng …", "Stopping …")))
