export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]
export type Database = {
  "portal": {
    Tables: {
      [_ in never]: never
    }
    Views: {
      "conversations": {
        Row: {
          "closed_at": string | null,"created_at": string,"garage_id": string,"id": string,"unread_count": number | null
        }
        ComputedFields: never
        Insert: {
          "closed_at"?: string | null,"created_at"?: string | null,"garage_id"?: string | null,"id"?: string | null,"unread_count"?: never
        }
        Update: {
          "closed_at"?: string | null,"created_at"?: string | null,"garage_id"?: string | null,"id"?: string | null,"unread_count"?: never
        }
        Relationships: [
        ]
      },"devices": {
        Row: {
          "created_at": string,"garage_id": string,"has_key": boolean | null,"id": string,"is_this_device": boolean | null,"label": string | null,"last_seen_at": string | null,"revoked_at": string | null
        }
        ComputedFields: never
        Insert: {
          "created_at"?: string | null,"garage_id"?: string | null,"has_key"?: never,"id"?: string | null,"is_this_device"?: never,"label"?: string | null,"last_seen_at"?: string | null,"revoked_at"?: string | null
        }
        Update: {
          "created_at"?: string | null,"garage_id"?: string | null,"has_key"?: never,"id"?: string | null,"is_this_device"?: never,"label"?: string | null,"last_seen_at"?: string | null,"revoked_at"?: string | null
        }
        Relationships: [
        ]
      },"documents": {
        Row: {
          "byte_size": number | null,"garage_id": string,"id": string,"invoice_id": string,"page_count": number | null,"stored_at": string | null,"version": number
        }
        ComputedFields: never
        Insert: {
          "byte_size"?: number | null,"garage_id"?: string | null,"id"?: string | null,"invoice_id"?: string | null,"page_count"?: number | null,"stored_at"?: string | null,"version"?: number | null
        }
        Update: {
          "byte_size"?: number | null,"garage_id"?: string | null,"id"?: string | null,"invoice_id"?: string | null,"page_count"?: number | null,"stored_at"?: string | null,"version"?: number | null
        }
        Relationships: [
          {
            foreignKeyName: "invoice_documents_garage_id_invoice_id_fkey"
            columns: ["garage_id","invoice_id"]
            isOneToOne: false
            referencedRelation: "invoices"
            referencedColumns: ["garage_id","id"]
          }
        ]
      },"garage": {
        Row: {
          "accent_color": string | null,"bic": string | null,"city": string,"country_code": string,"email": string,"enterprise_number": string,"iban": string,"id": string,"legal_name": string,"phone": string | null,"portal_idle_minutes": number,"postal_code": string,"street": string,"trade_name": string,"vat_number": string
        }
        ComputedFields: never
        Insert: {
          "accent_color"?: string | null,"bic"?: string | null,"city"?: string | null,"country_code"?: string | null,"email"?: string | null,"enterprise_number"?: string | null,"iban"?: string | null,"id"?: string | null,"legal_name"?: string | null,"phone"?: string | null,"portal_idle_minutes"?: number | null,"postal_code"?: string | null,"street"?: string | null,"trade_name"?: string | null,"vat_number"?: string | null
        }
        Update: {
          "accent_color"?: string | null,"bic"?: string | null,"city"?: string | null,"country_code"?: string | null,"email"?: string | null,"enterprise_number"?: string | null,"iban"?: string | null,"id"?: string | null,"legal_name"?: string | null,"phone"?: string | null,"portal_idle_minutes"?: number | null,"postal_code"?: string | null,"street"?: string | null,"trade_name"?: string | null,"vat_number"?: string | null
        }
        Relationships: [
        ]
      },"invoice_lines": {
        Row: {
          "description": string,"discount_percent": number,"garage_id": string,"id": string,"invoice_id": string,"net_amount": number,"position": number,"quantity": number,"unit_price": number,"vat_category": string,"vat_rate": number
        }
        ComputedFields: never
        Insert: {
          "description"?: string | null,"discount_percent"?: number | null,"garage_id"?: string | null,"id"?: string | null,"invoice_id"?: string | null,"net_amount"?: number | null,"position"?: number | null,"quantity"?: number | null,"unit_price"?: number | null,"vat_category"?: string | null,"vat_rate"?: number | null
        }
        Update: {
          "description"?: string | null,"discount_percent"?: number | null,"garage_id"?: string | null,"id"?: string | null,"invoice_id"?: string | null,"net_amount"?: number | null,"position"?: number | null,"quantity"?: number | null,"unit_price"?: number | null,"vat_category"?: string | null,"vat_rate"?: number | null
        }
        Relationships: [
          {
            foreignKeyName: "invoice_lines_garage_id_invoice_id_fkey"
            columns: ["garage_id","invoice_id"]
            isOneToOne: false
            referencedRelation: "invoices"
            referencedColumns: ["garage_id","id"]
          }
        ]
      },"invoice_vat_totals": {
        Row: {
          "base": number,"discount": number,"garage_id": string,"invoice_id": string,"vat": number,"vat_category": string,"vat_rate": number
        }
        ComputedFields: never
        Insert: {
          "base"?: number | null,"discount"?: number | null,"garage_id"?: string | null,"invoice_id"?: string | null,"vat"?: number | null,"vat_category"?: string | null,"vat_rate"?: number | null
        }
        Update: {
          "base"?: number | null,"discount"?: number | null,"garage_id"?: string | null,"invoice_id"?: string | null,"vat"?: number | null,"vat_category"?: string | null,"vat_rate"?: number | null
        }
        Relationships: [
          {
            foreignKeyName: "invoice_vat_totals_garage_id_invoice_id_fkey"
            columns: ["garage_id","invoice_id"]
            isOneToOne: false
            referencedRelation: "invoices"
            referencedColumns: ["garage_id","id"]
          }
        ]
      },"invoices": {
        Row: {
          "balance": number | null,"credited_total": number | null,"credits_invoice_id": string | null,"currency": string,"customer_id": string,"discount_percent": number,"due_date": string | null,"garage_id": string,"gross_total": number | null,"id": string,"invoice_number": string | null,"issue_date": string | null,"kind": string,"net_total": number | null,"note": string | null,"odometer_km": number | null,"paid_total": number | null,"payment_qr": string | null,"payment_status": string | null,"structured_communication": string | null,"supply_date": string | null,"vat_total": number | null,"vehicle_id": string | null,"credited_invoice": {
            "balance": number | null,
            "credited_total": number | null,
            "credits_invoice_id": string | null,
            "currency": string,
            "customer_id": string,
            "discount_percent": number,
            "due_date": string | null,
            "garage_id": string,
            "gross_total": number | null,
            "id": string,
            "invoice_number": string | null,
            "issue_date": string | null,
            "kind": string,
            "net_total": number | null,
            "note": string | null,
            "odometer_km": number | null,
            "paid_total": number | null,
            "payment_qr": string | null,
            "payment_status": string | null,
            "structured_communication": string | null,
            "supply_date": string | null,
            "vat_total": number | null,
            "vehicle_id": string | null
          } | null
        }
        ComputedFields: "credited_invoice"
        Insert: {
          "balance"?: never,"credited_total"?: never,"credits_invoice_id"?: string | null,"currency"?: string | null,"customer_id"?: string | null,"discount_percent"?: number | null,"due_date"?: string | null,"garage_id"?: string | null,"gross_total"?: number | null,"id"?: string | null,"invoice_number"?: string | null,"issue_date"?: string | null,"kind"?: string | null,"net_total"?: number | null,"note"?: string | null,"odometer_km"?: number | null,"paid_total"?: never,"payment_qr"?: never,"payment_status"?: never,"structured_communication"?: string | null,"supply_date"?: string | null,"vat_total"?: number | null,"vehicle_id"?: string | null
        }
        Update: {
          "balance"?: never,"credited_total"?: never,"credits_invoice_id"?: string | null,"currency"?: string | null,"customer_id"?: string | null,"discount_percent"?: number | null,"due_date"?: string | null,"garage_id"?: string | null,"gross_total"?: number | null,"id"?: string | null,"invoice_number"?: string | null,"issue_date"?: string | null,"kind"?: string | null,"net_total"?: number | null,"note"?: string | null,"odometer_km"?: number | null,"paid_total"?: never,"payment_qr"?: never,"payment_status"?: never,"structured_communication"?: string | null,"supply_date"?: string | null,"vat_total"?: number | null,"vehicle_id"?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "invoices_credits_invoice_fkey"
            columns: ["garage_id","credits_invoice_id"]
            isOneToOne: false
            referencedRelation: "invoices"
            referencedColumns: ["garage_id","id"]
          },{
            foreignKeyName: "invoices_garage_id_customer_id_fkey"
            columns: ["garage_id","customer_id"]
            isOneToOne: false
            referencedRelation: "profile"
            referencedColumns: ["garage_id","id"]
          },{
            foreignKeyName: "invoices_garage_id_fkey"
            columns: ["garage_id"]
            isOneToOne: false
            referencedRelation: "garage"
            referencedColumns: ["id"]
          },{
            foreignKeyName: "invoices_garage_id_vehicle_id_fkey"
            columns: ["garage_id","vehicle_id"]
            isOneToOne: false
            referencedRelation: "vehicles"
            referencedColumns: ["garage_id","id"]
          }
        ]
      },"message_photos": {
        Row: {
          "content_type": string,"conversation_id": string,"created_at": string,"garage_id": string,"id": string,"sender": string,"storage_path": string
        }
        ComputedFields: never
        Insert: {
          "content_type"?: string | null,"conversation_id"?: string | null,"created_at"?: string | null,"garage_id"?: string | null,"id"?: string | null,"sender"?: string | null,"storage_path"?: string | null
        }
        Update: {
          "content_type"?: string | null,"conversation_id"?: string | null,"created_at"?: string | null,"garage_id"?: string | null,"id"?: string | null,"sender"?: string | null,"storage_path"?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "message_photos_conversation_fkey"
            columns: ["garage_id","conversation_id"]
            isOneToOne: false
            referencedRelation: "conversations"
            referencedColumns: ["garage_id","id"]
          }
        ]
      },"messages": {
        Row: {
          "body": string,"conversation_id": string,"created_at": string,"garage_id": string,"id": string,"photo_id": string | null,"read_at": string | null,"sender": string
        }
        ComputedFields: never
        Insert: {
          "body"?: string | null,"conversation_id"?: string | null,"created_at"?: string | null,"garage_id"?: string | null,"id"?: string | null,"photo_id"?: string | null,"read_at"?: string | null,"sender"?: string | null
        }
        Update: {
          "body"?: string | null,"conversation_id"?: string | null,"created_at"?: string | null,"garage_id"?: string | null,"id"?: string | null,"photo_id"?: string | null,"read_at"?: string | null,"sender"?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "messages_garage_id_conversation_id_fkey"
            columns: ["garage_id","conversation_id"]
            isOneToOne: false
            referencedRelation: "conversations"
            referencedColumns: ["garage_id","id"]
          },{
            foreignKeyName: "messages_photo_fkey"
            columns: ["garage_id","photo_id"]
            isOneToOne: true
            referencedRelation: "message_photos"
            referencedColumns: ["garage_id","id"]
          }
        ]
      },"odometer_readings": {
        Row: {
          "garage_id": string,"id": string,"read_on": string,"reading_km": number,"vehicle_id": string
        }
        ComputedFields: never
        Insert: {
          "garage_id"?: string | null,"id"?: string | null,"read_on"?: string | null,"reading_km"?: number | null,"vehicle_id"?: string | null
        }
        Update: {
          "garage_id"?: string | null,"id"?: string | null,"read_on"?: string | null,"reading_km"?: number | null,"vehicle_id"?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "odometer_readings_garage_id_vehicle_id_fkey"
            columns: ["garage_id","vehicle_id"]
            isOneToOne: false
            referencedRelation: "vehicles"
            referencedColumns: ["garage_id","id"]
          }
        ]
      },"profile": {
        Row: {
          "city": string | null,"company_name": string | null,"country_code": string,"email": string | null,"full_name": string,"garage_id": string,"id": string,"kind": string,"locale": string,"phone": string | null,"postal_code": string | null,"street": string | null,"vat_number": string | null
        }
        ComputedFields: never
        Insert: {
          "city"?: string | null,"company_name"?: string | null,"country_code"?: string | null,"email"?: string | null,"full_name"?: string | null,"garage_id"?: string | null,"id"?: string | null,"kind"?: string | null,"locale"?: string | null,"phone"?: string | null,"postal_code"?: string | null,"street"?: string | null,"vat_number"?: string | null
        }
        Update: {
          "city"?: string | null,"company_name"?: string | null,"country_code"?: string | null,"email"?: string | null,"full_name"?: string | null,"garage_id"?: string | null,"id"?: string | null,"kind"?: string | null,"locale"?: string | null,"phone"?: string | null,"postal_code"?: string | null,"street"?: string | null,"vat_number"?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "customers_garage_id_fkey"
            columns: ["garage_id"]
            isOneToOne: false
            referencedRelation: "garage"
            referencedColumns: ["id"]
          }
        ]
      },"sessions": {
        Row: {
          "created_at": string,"device_id": string,"expires_at": string,"garage_id": string,"id": string,"idle_expires_at": string,"is_this_session": boolean | null,"refreshed_at": string
        }
        ComputedFields: never
        Insert: {
          "created_at"?: string | null,"device_id"?: string | null,"expires_at"?: string | null,"garage_id"?: string | null,"id"?: string | null,"idle_expires_at"?: string | null,"is_this_session"?: never,"refreshed_at"?: string | null
        }
        Update: {
          "created_at"?: string | null,"device_id"?: string | null,"expires_at"?: string | null,"garage_id"?: string | null,"id"?: string | null,"idle_expires_at"?: string | null,"is_this_session"?: never,"refreshed_at"?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "portal_sessions_garage_id_device_id_fkey"
            columns: ["garage_id","device_id"]
            isOneToOne: false
            referencedRelation: "devices"
            referencedColumns: ["garage_id","id"]
          }
        ]
      },"vehicles": {
        Row: {
          "first_registered_on": string | null,"fuel": string | null,"garage_id": string,"id": string,"make": string,"model": string,"plate": string | null,"vin": string | null
        }
        ComputedFields: never
        Insert: {
          "first_registered_on"?: string | null,"fuel"?: string | null,"garage_id"?: string | null,"id"?: string | null,"make"?: string | null,"model"?: string | null,"plate"?: never,"vin"?: string | null
        }
        Update: {
          "first_registered_on"?: string | null,"fuel"?: string | null,"garage_id"?: string | null,"id"?: string | null,"make"?: string | null,"model"?: string | null,"plate"?: never,"vin"?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "vehicles_garage_id_fkey"
            columns: ["garage_id"]
            isOneToOne: false
            referencedRelation: "garage"
            referencedColumns: ["id"]
          }
        ]
      },"work_orders": {
        Row: {
          "complaint": string,"created_at": string,"customer_note": string | null,"expected_ready_at": string | null,"garage_id": string,"id": string,"planned_at": string | null,"reference": string,"status": string,"vehicle_id": string
        }
        ComputedFields: never
        Insert: {
          "complaint"?: string | null,"created_at"?: string | null,"customer_note"?: string | null,"expected_ready_at"?: string | null,"garage_id"?: string | null,"id"?: string | null,"planned_at"?: string | null,"reference"?: string | null,"status"?: string | null,"vehicle_id"?: string | null
        }
        Update: {
          "complaint"?: string | null,"created_at"?: string | null,"customer_note"?: string | null,"expected_ready_at"?: string | null,"garage_id"?: string | null,"id"?: string | null,"planned_at"?: string | null,"reference"?: string | null,"status"?: string | null,"vehicle_id"?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "work_orders_vehicle_fkey"
            columns: ["garage_id","vehicle_id"]
            isOneToOne: false
            referencedRelation: "vehicles"
            referencedColumns: ["garage_id","id"]
          }
        ]
      }
    }
    Functions: {
      "access_log":
      { Args: Record<PropertyKey, never>; Returns: {
          "at": string,"event": string,"who": string
        }[]
      },
      "announce_photo":
      { Args: { "content_type": string,"conversation_id"?: string }; Returns: {
          "content_type": string,
          "conversation_id": string,
          "created_at": string,
          "garage_id": string,
          "id": string,
          "sender": string,
          "storage_path": string
        }
        SetofOptions: {
          from: "*"
          to: "message_photos"
          isOneToOne: true
          isSetofReturn: false
        } },
      "credited_invoice":
      { Args: { "": Database["portal"]['Views']["invoices"]['Row'] }; Returns: { error: true } & "the function portal.credited_invoice with parameter or with a single unnamed json/jsonb parameter, but no matches were found in the schema cache"
        SetofOptions: {
          from: "portal.invoices"
          to: "invoices"
          isOneToOne: true
          isSetofReturn: true
        } },
      "mark_conversation_read":
      { Args: { "conversation_id": string }; Returns: number
      },
      "register_push_token":
      { Args: { "expo_token": string,"platform"?: string,"shows_details"?: boolean }; Returns: undefined
      },
      "report_error":
      { Args: { "message": string,"release"?: string,"stack"?: string,"url"?: string }; Returns: undefined
      },
      "send_message":
      { Args: { "body"?: string,"conversation_id"?: string,"photo_id"?: string }; Returns: {
          "body": string,
          "conversation_id": string,
          "created_at": string,
          "garage_id": string,
          "id": string,
          "photo_id": string | null,
          "read_at": string | null,
          "sender": string
        }
        SetofOptions: {
          from: "*"
          to: "messages"
          isOneToOne: true
          isSetofReturn: false
        } },
      "unregister_push_token":
      { Args: Record<PropertyKey, never>; Returns: undefined
      }
    }
    Enums: {
      [_ in never]: never
    }
    CompositeTypes: {
      [_ in never]: never
    }
  }
}
type DatabaseWithoutInternals = Omit<Database, '__InternalSupabase'>
type DefaultSchema = DatabaseWithoutInternals[Extract<keyof Database, "portal">]
export type Tables<
DefaultSchemaTableNameOrOptions extends
| keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
| { schema: keyof DatabaseWithoutInternals },
TableName extends DefaultSchemaTableNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
? keyof (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"] &
  DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"])
: never = never
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
? (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"] &
  DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"])[TableName] extends {
  Row: infer R
}
? R
: never
: DefaultSchemaTableNameOrOptions extends keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
? (DefaultSchema["Tables"] & DefaultSchema["Views"])[DefaultSchemaTableNameOrOptions] extends {
  Row: infer R
}
? R
: never
: never
export type TablesInsert<
DefaultSchemaTableNameOrOptions extends
| keyof DefaultSchema["Tables"]
| { schema: keyof DatabaseWithoutInternals },
TableName extends DefaultSchemaTableNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
: never = never
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
  Insert: infer I
}
? I
: never
: DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
  Insert: infer I
}
? I
: never
: never
export type TablesUpdate<
DefaultSchemaTableNameOrOptions extends
| keyof DefaultSchema["Tables"]
| { schema: keyof DatabaseWithoutInternals },
TableName extends DefaultSchemaTableNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
: never = never
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
  Update: infer U
}
? U
: never
: DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
  Update: infer U
}
? U
: never
: never
export type Enums<
DefaultSchemaEnumNameOrOptions extends
| keyof DefaultSchema["Enums"]
| { schema: keyof DatabaseWithoutInternals },
EnumName extends DefaultSchemaEnumNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
? keyof DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"]
: never = never
> = DefaultSchemaEnumNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
? DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"][EnumName]
: DefaultSchemaEnumNameOrOptions extends keyof DefaultSchema["Enums"]
? DefaultSchema["Enums"][DefaultSchemaEnumNameOrOptions]
: never
export type CompositeTypes<
PublicCompositeTypeNameOrOptions extends
| keyof DefaultSchema["CompositeTypes"]
| { schema: keyof DatabaseWithoutInternals },
CompositeTypeName extends PublicCompositeTypeNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
? keyof DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"]
: never = never
> = PublicCompositeTypeNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
? DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"][CompositeTypeName]
: PublicCompositeTypeNameOrOptions extends keyof DefaultSchema["CompositeTypes"]
? DefaultSchema["CompositeTypes"][PublicCompositeTypeNameOrOptions]
: never
export const Constants = {
  "portal": {
    Enums: {
    }
  }
} as const
