from responder.demo.repository import Repository, read_manifest
from responder.demo.world import config_map, hook_job

URL = "https://git.example.com/shop"


def test_a_branch_is_its_newest_commit_and_a_hash_stays_what_it_is() -> None:
    repository = Repository()
    first = repository.commit(URL, [config_map("a")])
    second = repository.commit(URL, [config_map("b")])
    assert repository.resolve(URL, "main") == second
    assert repository.resolve(URL, first) == first
    assert repository.manifests(URL, first) == (config_map("a"),)
    assert repository.resolve("https://git.example.com/other", "main") == ""


def test_the_same_history_gives_the_same_hashes() -> None:
    one, other = Repository(), Repository()
    assert one.commit(URL, [config_map("a")]) == other.commit(URL, [config_map("a")])


def test_who_watches_is_told_of_a_commit() -> None:
    repository, told = Repository(), list[str]()
    repository.on_commit(told.append)
    repository.commit(URL, [])
    assert told == [URL]


def test_a_manifest_is_read_as_argo_cd_reads_it() -> None:
    wave = {"argocd.argoproj.io/sync-wave": "-5"}
    hook = read_manifest(hook_job("seed-", generate=True, policy="HookFailed,HookSucceeded", annotations=wave))
    assert (hook.name, hook.generated, hook.hooks, hook.wave) == ("seed-", True, ("PreSync",), -5)
    assert hook.policies == ("HookFailed", "HookSucceeded")
    plain = read_manifest(config_map("a"))
    assert (plain.hooks, plain.policies, plain.path) == ((), ("BeforeHookCreation",), "/ConfigMap/a")
