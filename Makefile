# The entry point. `make help` lists the targets.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
PREFIX ?= /usr
DESTDIR ?=
# Where the program is installed; sshd requires it, and every directory above it, to be owned by root and writable by nobody else.
LIBEXECDIR ?= $(PREFIX)/libexec/ec2-instance-connect
DOCDIR ?= $(PREFIX)/share/doc/ec2-instance-connect
# The directory of the built programs.
BUILT ?= $(TARGET)/release
# The directory in which zsh looks for completions; Debian has a separate one for packages' files.
ZSH_COMPLETIONS ?= $(if $(and $(wildcard /etc/debian_version),$(filter /usr,$(PREFIX))),vendor-completions,site-functions)

.PHONY: help demo test test-all test-root e2e hook checkout test-packages lint build bench mutate deny emulator completions install install-built uninstall packages reproduce repo clean

help: ## List the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

demo: ## Push a key and show that it is accepted, and three other records that are refused (no root, no EC2)
	@echo 'The first build takes about two minutes on 2 cores, and 710 MB in $(TARGET)/. Nothing is installed.'
	@$(CARGO) build --locked --package eic-authorized-keys --package ec2-instance-connect --package ec2-instance-connect-tests --bins
	@$(TARGET)/debug/demo

test: ## Run the tests that need neither root nor a container; installs nothing (3 minutes at first, then 1)
	@CARGO='$(CARGO)' tests/run quick

test-all: ## Run all tests, as root: `make test`, then `make test-root`; it first prints how long, how much disk and what it installs
	@CARGO='$(CARGO)' tests/run quick e2e hook checkout packages

test-root: ## Run the tests that need root: `make e2e hook checkout test-packages` in one
	@CARGO='$(CARGO)' tests/run e2e hook checkout packages

e2e: ## Test the whole login with real sshd, ssh, AWS CLI and mssh, in network and mount namespaces (root)
	@CARGO='$(CARGO)' tests/run e2e

hook: ## Test `enable`, `disable` and `status` in booted containers of three Debian releases (root)
	@CARGO='$(CARGO)' tests/run hook

checkout: ## Run the commands that the documentation gives for a clone of this repository, in a container (root)
	@CARGO='$(CARGO)' tests/run checkout

test-packages: ## Install, upgrade, roll back and remove the packages in dist/, in booted containers; builds them if there are none (root)
	@CARGO='$(CARGO)' tests/run packages

lint: ## Check formatting, and run clippy and rustdoc with warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --quiet --workspace --no-deps

build: ## Build the programs, optimised, in target/release; then run `sudo make install`
	$(CARGO) build --release --locked --package eic-authorized-keys --package ec2-instance-connect

bench: build ## Measure what a call costs, compared with curl
	@$(CARGO) build --quiet --release --locked --package ec2-instance-connect-tests --bins
	@$(TARGET)/release/bench

mutate: ## Remove each check that refuses, one at a time, and confirm that a test fails (half an hour)
	@$(CARGO) build --quiet --locked --package ec2-instance-connect-tests --bin mutate
	@CARGO='$(CARGO)' $(TARGET)/debug/mutate

deny: ## Check licences, bans and sources of every dependency (needs cargo-deny: cargo install --locked cargo-deny)
	$(CARGO) deny --locked check licenses bans sources

emulator: ## Start a fake IMDS and service, to try things by hand
	@$(CARGO) run --locked --package ec2-instance-connect-tests --bin emulator -- --directory '$(TARGET)/emulator'

completions: ## Write the shell completions in packaging/completions again, after a change of the programs' options
	$(CARGO) run --quiet --locked --package ec2-instance-connect-tests --bin completions -- packaging/completions

install: ## Install what `make build` built, in DESTDIR under PREFIX (as root; needs no cargo)
	@for program in eic_run_authorized_keys ec2-instance-connect; do \
	    if [ ! -x '$(BUILT)'/$$program ]; then \
	        echo "$(BUILT)/$$program does not exist: run \`make build\` first, as the user who has cargo, or give BUILT=DIRECTORY" >&2; \
	        exit 1; \
	    fi; \
	    if [ "$$(find agent -name '*.rs' -newer '$(BUILT)'/$$program)" ]; then \
	        echo "$(BUILT)/$$program is older than its sources: run \`make build\` first, as the user who has cargo" >&2; \
	        exit 1; \
	    fi; \
	done
	@$(MAKE) --no-print-directory install-built
	@if [ -z '$(DESTDIR)' ]; then \
	    echo 'Installed. To configure sshd, run as root:'; \
	    echo '  systemd-sysusers ec2-instance-connect.conf'; \
	    echo '      creates the system user; without systemd, run instead:'; \
	    echo '      useradd --system --user-group --no-create-home --home-dir / --shell /usr/sbin/nologin ec2-instance-connect'; \
	    echo '  $(PREFIX)/sbin/ec2-instance-connect enable'; \
	    echo '      configures sshd to use it'; \
	fi

# Install without checking the age of the programs, for packages. BUILT contains the two programs and, optionally, THIRD-PARTY.
install-built:
	install -D -m 0711 '$(BUILT)/eic_run_authorized_keys' '$(DESTDIR)$(LIBEXECDIR)/eic_run_authorized_keys'
	install -D -m 0755 '$(BUILT)/ec2-instance-connect' '$(DESTDIR)$(PREFIX)/sbin/ec2-instance-connect'
	install -D -m 0644 -t '$(DESTDIR)$(PREFIX)/share/man/man8' packaging/man/*.8
	install -D -m 0644 systemd/ec2-instance-connect.sysusers.conf '$(DESTDIR)$(PREFIX)/lib/sysusers.d/ec2-instance-connect.conf'
	install -D -m 0644 -t '$(DESTDIR)$(DOCDIR)' README.md SECURITY.md
	install -D -m 0644 -t '$(DESTDIR)$(DOCDIR)/docs' docs/*.md
	install -D -m 0644 -t '$(DESTDIR)$(DOCDIR)/sshd' packaging/sshd/*.conf
	install -D -m 0755 -t '$(DESTDIR)$(DOCDIR)/examples' packaging/examples/*
	install -D -m 0644 -t '$(DESTDIR)$(PREFIX)/share/bash-completion/completions' packaging/completions/bash/*
	install -D -m 0644 -t '$(DESTDIR)$(PREFIX)/share/zsh/$(ZSH_COMPLETIONS)' packaging/completions/zsh/*
	install -D -m 0644 -t '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d' packaging/completions/fish/*
	if [ -e '$(BUILT)/THIRD-PARTY' ]; then install -m 0644 -t '$(DESTDIR)$(DOCDIR)' '$(BUILT)/THIRD-PARTY'; fi

uninstall: ## Disable EC2 Instance Connect in sshd, and remove what `make install` installed (as root)
	@if [ -z '$(DESTDIR)' ] && [ -x '$(PREFIX)/sbin/ec2-instance-connect' ]; then '$(PREFIX)/sbin/ec2-instance-connect' disable --package; fi
	@if [ -z '$(DESTDIR)' ] && grep -rs '$(LIBEXECDIR)/eic_run_authorized_keys' /etc/ssh /etc/systemd/system; then \
	    echo 'sshd is still configured to run the program, by the lines above: remove these lines first' >&2; exit 1; \
	fi
	rm -f '$(DESTDIR)$(LIBEXECDIR)/eic_run_authorized_keys' '$(DESTDIR)$(PREFIX)/sbin/ec2-instance-connect'
	rm -f $(patsubst packaging/man/%,'$(DESTDIR)$(PREFIX)/share/man/man8/%',$(wildcard packaging/man/*.8))
	rm -f '$(DESTDIR)$(PREFIX)/lib/sysusers.d/ec2-instance-connect.conf'
	rm -rf '$(DESTDIR)$(DOCDIR)'
	rm -f $(patsubst packaging/completions/bash/%,'$(DESTDIR)$(PREFIX)/share/bash-completion/completions/%',$(wildcard packaging/completions/bash/*))
	rm -f $(patsubst packaging/completions/zsh/%,'$(DESTDIR)$(PREFIX)/share/zsh/$(ZSH_COMPLETIONS)/%',$(wildcard packaging/completions/zsh/*))
	rm -f $(patsubst packaging/completions/fish/%,'$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/%',$(wildcard packaging/completions/fish/*))
	if [ -d '$(DESTDIR)$(LIBEXECDIR)' ]; then rmdir '$(DESTDIR)$(LIBEXECDIR)'; fi

reproduce: ## Build the packages again in another directory, and confirm that dist/ is identical (takes as long as the first build)
	@packaging/reproduce dist

repo: ## Make signed apt and yum repositories of dist/ in dist/repo: KEY=fingerprint, BASEURL=URL, EARLIER=repositories served now
	@packaging/tools
	@packaging/repo '$(KEY)' dist $(if $(EARLIER),'$(EARLIER)')

packages: ## Build .deb and .rpm for x86_64 and arm64, debug symbols, SBOM and checksums in dist/ (Debian 12; 15 minutes at first)
	@packaging/build dist

clean:
	$(CARGO) clean
