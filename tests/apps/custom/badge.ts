import type * as p from "core/properties"
import {LayoutDOM, LayoutDOMView} from "models/layouts/layout_dom"

export class BadgeView extends LayoutDOMView {
  declare model: Badge

  get child_models() {
    return []
  }

  override render(): void {
    super.render()
    const bold = document.createElement("b")
    bold.className = "badge"
    bold.textContent = this.model.text
    this.shadow_el.append(bold)
  }
}

export namespace Badge {
  export type Attrs = p.AttrsOf<Props>
  export type Props = LayoutDOM.Props & {text: p.Property<string>}
}

export interface Badge extends Badge.Attrs {}

export class Badge extends LayoutDOM {
  declare properties: Badge.Props
  declare __view_type__: BadgeView

  static override __name__ = "Badge"

  static {
    this.prototype.default_view = BadgeView
    this.define<Badge.Props>(({Str}) => ({text: [Str, ""]}))
  }
}
