"""Logo and brand colour."""

import pytest

from helpers.report import site


def test_a_logo_is_carried_in_the_page(tmp_path):
    (tmp_path / "logo.png").write_bytes(b"png")
    assert site._logo(tmp_path, "logo.png") == "data:image/png;base64,cG5n"
    assert site._logo(tmp_path, "") == ""


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "none.png", "client.toml"])
def test_a_logo_is_an_image_in_the_client_s_folder(tmp_path, name):
    (tmp_path / "client").mkdir()
    (tmp_path / "secret.png").write_bytes(b"")
    (tmp_path / "client" / "client.toml").write_bytes(b"")
    with pytest.raises(ValueError, match="is not an image inside data/client"):
        site._logo(tmp_path / "client", name)


def test_contrast_is_as_wcag_has_it():
    """WCAG 2.1's own example: #767676 on white is the lightest grey that passes 4.5."""
    assert site._contrast_on_white("#767676") >= 4.5 > site._contrast_on_white("#777777")
