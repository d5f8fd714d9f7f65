"""All commands, each loaded when it is called."""

from __future__ import annotations

import click

from gateway import __version__
from gateway.cli.command import Group, Option, Place
from gateway.cli.signals import end_when_told_as_first_process
from gateway.cli.words import Text
from gateway.clock import settle_zone

root = Group(
    "gateway",
    words=Text(
        "Trục liên thông văn bản điện tử của tỉnh: tiếp nhận, kiểm tra, lưu giữ và chuyển gói tin edXML.",
        "A province's document-interconnection gateway: it accepts, checks, keeps and delivers edXML packages.",
    ),
    examples=Text(
        """\
gateway demo                       # xem ba trục trao đổi văn bản
gateway init && gateway serve      # lập và chạy trục của mình
gateway verify goi-tin.edxml       # gói tin có gì, ai đã ký
gateway doctor                     # điều gì sai, phải làm gì""",
        """\
gateway demo                       # watch three gateways exchange documents
gateway init && gateway serve      # start one of your own
gateway verify goi-tin.edxml       # what is in a package, and who signed it
gateway doctor                     # what is wrong, and what to do""",
    ),
    places={
        "demo": Place("gateway.cli.demo.command", "demo", Text("Trình diễn ba trục liên thông.", "Show it at work.")),
        "init": Place("gateway.cli.init", "init", Text("Lập một trục mới.", "Set up a new gateway.")),
        "serve": Place("gateway.cli.serve", "serve", Text("Chạy trục liên thông.", "Run the gateway.")),
        "worker": Place("gateway.cli.serve", "worker", Text("Chỉ chạy bộ chuyển.", "Run the delivery worker only.")),
        "alive": Place("gateway.cli.alive", "alive", Text("Trục có đang chạy không.", "Whether the gateway runs.")),
        "doctor": Place("gateway.cli.doctor", "doctor", Text("Kiểm tra hệ thống.", "Examine the installation.")),
        "config": Place("gateway.cli.config", "config", Text("Xem, kiểm tra cấu hình.", "Show or check the settings.")),
        "db": Place("gateway.cli.database", "db", Text("Cơ sở dữ liệu.", "Upgrade, check, back up the database.")),
        "agencies": Place("gateway.cli.agencies", "agencies", Text("Danh bạ cơ quan.", "The agency directory.")),
        "certificates": Place(
            "gateway.cli.certificates", "certificates", Text("Chứng thư để ký.", "Certificates of agencies.")
        ),
        "catalogue": Place(
            "gateway.cli.catalogue", "catalogue", Text("Danh mục của trục quốc gia.", "The national catalogue.")
        ),
        "keys": Place("gateway.cli.keys", "keys", Text("Khóa API của cơ quan.", "API keys of agencies.")),
        "systems": Place(
            "gateway.cli.systems", "systems", Text("Hệ thống VXP, LGSP.", "Systems that speak VXP, LGSP.")
        ),
        "operators": Place("gateway.cli.operators", "operators", Text("Người vận hành.", "People who may log in.")),
        "deliveries": Place(
            "gateway.cli.deliveries", "deliveries", Text("Lượt chuyển; gửi lại.", "Deliveries; replay.")
        ),
        "axis": Place("gateway.cli.axis", "axis", Text("Lấy văn bản từ trục VXP, LGSP.", "Fetching from axes.")),
        "log": Place("gateway.cli.log", "log", Text("Nhật ký sự kiện: kiểm tra.", "The event log: verify it.")),
        "examinations": Place(
            "gateway.cli.examinations", "examinations", Text("Văn bản chờ kiểm tra.", "Documents to be examined.")
        ),
        "refusals": Place("gateway.cli.refusals", "refusals", Text("Gói tin bị từ chối.", "Packages turned away.")),
        "send": Place("gateway.cli.agency", "send", Text("Gửi gói tin.", "Send packages.")),
        "inbox": Place("gateway.cli.agency", "inbox", Text("Nhận văn bản.", "Collect documents.")),
        "status": Place("gateway.cli.agency", "status", Text("Báo trạng thái xử lý.", "Report a status.")),
        "trace": Place("gateway.cli.agency", "trace", Text("Đường đi của văn bản.", "The way of a document.")),
        "sign": Place("gateway.cli.sign", "sign", Text("Ký số PDF, gói tin.", "Sign a PDF or a package.")),
        "signer": Place("gateway.cli.signer", "signer", Text("Trình ký số cho trang web.", "Sign for web pages.")),
        "verify": Place(
            "gateway.cli.verify",
            "verify",
            Text("Kiểm tra gói tin, tệp đã ký, tệp bằng chứng.", "Check packages, signed files, evidence."),
        ),
        "evidence": Place(
            "gateway.cli.evidence",
            "evidence",
            Text("Xuất, gia hạn tệp bằng chứng.", "Export and renew evidence files."),
        ),
        "conformance": Place(
            "gateway.cli.conformance", "conformance", Text("Kiểm tra tương thích giao thức.", "Protocol conformance.")
        ),
        "read": Place("gateway.cli.packages", "read", Text("Đọc gói tin thành JSON.", "Read a package as JSON.")),
    },
)
click.version_option(
    __version__,
    "--version",
    prog_name="gateway",
    message="%(prog)s %(version)s",
    cls=Option,
    words=Text("Hiện phiên bản.", "Show the version."),
)(root)


def main() -> None:
    """The program ``gateway``."""
    end_when_told_as_first_process()
    settle_zone()
    root.main(prog_name="gateway")
