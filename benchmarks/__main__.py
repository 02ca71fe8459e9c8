"""`make bench`: every measurement."""

from benchmarks.commands import report
from benchmarks.gateway import main as gateway

report()
gateway()
